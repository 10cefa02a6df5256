# seedbed_embed(TARGET FILE SYMBOL): the text of FILE becomes `extern const char SYMBOL[]` in namespace seedbed, compiled into
# TARGET; made again whenever FILE changes. The text must not hold the sequence )EMBED".
function(seedbed_embed target file symbol)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  file(READ ${CMAKE_SOURCE_DIR}/${file} text)
  set(out ${CMAKE_BINARY_DIR}/embedded/${symbol}.cpp)
  file(CONFIGURE OUTPUT ${out} @ONLY CONTENT
    "// Made from ${file}; do not edit.\nnamespace seedbed {\nextern const char @symbol@[];\nconst char @symbol@[] = R\"EMBED(@text@)EMBED\";\n}  // namespace seedbed\n")
  target_sources(${target} PRIVATE ${out})
endfunction()
