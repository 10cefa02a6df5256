# seedbed_embed_packs(TARGET): every JSON file under envgen/packs/ becomes one row of kEmbeddedPacks (path, text), so that the
# binary needs no file beside it. Made again whenever a pack is added or changes.
function(seedbed_embed_packs target)
  file(GLOB_RECURSE packs CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/envgen/packs/*.json)
  list(SORT packs)
  set(rows "")
  set(count 0)
  foreach(pack ${packs})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${pack})
    file(READ ${pack} text)
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/envgen/packs ${pack})
    string(APPEND rows "    {\"${name}\", R\"EMBED(${text})EMBED\"},\n")
    math(EXPR count "${count} + 1")
  endforeach()
  set(out ${CMAKE_BINARY_DIR}/embedded/packs.cpp)
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT
    "// Made from envgen/packs; do not edit.\n#include \"envgen/general/pack_embedded.h\"\nnamespace seedbed::envgen {\nconst EmbeddedPack kEmbeddedPacks[] = {\n@rows@};\nconst std::size_t kEmbeddedPackCount = @count@;\n}  // namespace seedbed::envgen\n")
  target_sources(${target} PRIVATE ${out})
endfunction()
