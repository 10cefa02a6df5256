// 50 schemas of many kinds, each with what it is about.
#pragma once
#include <vector>

namespace seedbed::engine::grammar::kit {

struct Case {
  const char* name;
  const char* schema;
};

inline const std::vector<Case>& schema_cases() {
  static const std::vector<Case> cases =
      {
          {"anything", R"({})"},
          {"true", R"(true)"},
          {"any object", R"({"type":"object"})"},
          {"any array", R"({"type":"array"})"},
          {"null", R"({"type":"null"})"},
          {"boolean", R"({"type":"boolean"})"},
          {"integer", R"({"type":"integer"})"},
          {"number", R"({"type":"number"})"},
          {"string", R"({"type":"string"})"},
          {"types", R"({"type":["string","integer","null"]})"},
          {"enum", R"({"enum":["red","green",1,2.5,null,[1,{"a":"b"}],"re\"d\\"]})"},
          {"const", R"({"const":{"k":[1,2,{"x":null}]}})"},
          {"range", R"({"type":"integer","minimum":-17,"maximum":1234})"},
          {"open range", R"({"type":"integer","exclusiveMinimum":99,"exclusiveMaximum":101})"},
          {"half range", R"({"type":"integer","minimum":5})"},
          {"negative", R"({"type":"integer","maximum":-5})"},
          {"multiples", R"({"type":"integer","multipleOf":7,"minimum":-100,"maximum":5000})"},
          {"price", R"({"type":"number","minimum":0,"exclusiveMaximum":100.25,"multipleOf":0.01})"},
          {"fraction", R"({"type":"number","exclusiveMinimum":-0.5,"maximum":0.75})"},
          {"length", R"({"type":"string","minLength":3,"maxLength":5})"},
          {"long", R"({"type":"string","minLength":20})"},
          {"pattern", R"({"type":"string","pattern":"^[A-Z]{2}-\\d{3,5}(x|yy)?$"})"},
          {"search", R"({"type":"string","pattern":"a.c"})"},
          {"pattern and length",
           R"({"type":"string","pattern":"^(ab|cde)*$","minLength":4,"maxLength":9})"},
          {"date", R"({"type":"string","format":"date"})"},
          {"date-time", R"({"type":"string","format":"date-time"})"},
          {"object",
           R"({"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b","ab"]},"maxItems":3}},"required":["name","tags"],"additionalProperties":false})"},
          {"optional",
           R"({"type":"object","properties":{"a":{"const":1},"ab":{"const":2},"abc":{"const":3},"b":{"const":4}},"additionalProperties":false})"},
          {"more members",
           R"({"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":{"type":"boolean"}})"},
          {"map",
           R"({"type":"object","additionalProperties":{"type":"integer"},"minProperties":2,"maxProperties":4})"},
          {"pattern keys",
           R"({"type":"object","patternProperties":{"^x-[a-z]+$":{"type":"string"},"^[0-9]{1,4}$":{"type":"integer"}},"additionalProperties":false})"},
          {"few keys",
           R"({"type":"object","patternProperties":{"^[ab]$":{"type":"null"}},"additionalProperties":false})"},
          {"names",
           R"({"type":"object","propertyNames":{"pattern":"^[a-c]{1,2}$"},"additionalProperties":{"const":0}})"},
          {"items",
           R"({"type":"array","items":{"type":"integer","minimum":0,"maximum":9},"minItems":2,"maxItems":4})"},
          {"many items", R"({"type":"array","items":{"type":"boolean"},"minItems":10})"},
          {"endless", R"({"type":"array","items":{"const":0},"maxItems":1000000000})"},
          {"tuple",
           R"({"type":"array","prefixItems":[{"type":"string","maxLength":3},{"type":"integer"}],"items":false,"minItems":1})"},
          {"tuple and rest",
           R"({"type":"array","prefixItems":[{"const":"x"}],"items":{"type":"null"},"minItems":3,"maxItems":5})"},
          {"any of",
           R"({"anyOf":[{"type":"string","maxLength":4},{"type":"array","items":{"type":"integer"}},{"type":"array","items":{"type":"string"}}]})"},
          {"one of",
           R"({"oneOf":[{"type":"object","properties":{"kind":{"const":"circle"},"r":{"type":"number"}},"required":["kind","r"]},{"type":"object","properties":{"kind":{"const":"square"},"side":{"type":"integer"}},"required":["kind","side"]}]})"},
          {"all of",
           R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"a":{"minimum":10,"maximum":20},"b":{"type":"string"}},"required":["b"]}]})"},
          {"tree",
           R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/node"}}},"required":["v","kids"],"additionalProperties":false}}})"},
          {"list",
           R"({"$defs":{"l":{"anyOf":[{"type":"null"},{"type":"object","properties":{"head":{"type":"integer"},"tail":{"$ref":"#/$defs/l"}},"required":["head","tail"],"additionalProperties":false}]}},"$ref":"#/$defs/l"})"},
          {"same twice",
           R"({"$defs":{"l":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/l"}},{"type":"array","items":{"$ref":"#/$defs/l"},"maxItems":3},{"type":"integer"}]}},"$ref":"#/$defs/l"})"},
          {"nullable",
           R"({"type":["object","null"],"properties":{"x":{"type":["number","null"]},"y":{}},"required":["y"]})"},
          {"ref with siblings",
           R"({"$defs":{"s":{"type":"string","minLength":2}},"type":"object","properties":{"a":{"$ref":"#/$defs/s","maxLength":3},"b":{"$ref":"#/$defs/s","pattern":"^z"}},"required":["a","b"]})"},
          {"escapes",
           R"({"type":"object","properties":{"quo\"te":{"const":"back\\slash\n"},"é€😀":{"enum":["ü","\u0001"]}},"required":["quo\"te","é€😀"]})"},
          {"ecma", R"({"type":"string","pattern":"^[^\\s\"]+@(?:[\\w-]+\\.)+[a-z]{2,4}$"})"},
          {"deep",
           R"({"type":"array","minItems":1,"items":{"type":"array","minItems":1,"items":{"type":"array","minItems":2,"items":{"type":"object","properties":{"q":{"type":"string","minLength":1}},"required":["q"]}}}})"},
          {"address book",
           R"({"type":"object","properties":{"people":{"type":"array","minItems":1,"maxItems":5,"items":{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":40},"born":{"type":"string","format":"date"},"mail":{"anyOf":[{"type":"null"},{"type":"string","pattern":"^[a-z.]+@[a-z]+\\.(com|org)$"}]},"address":{"type":"object","properties":{"street":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9]{5}$"},"country":{"enum":["DE","FR","PL"]}},"required":["zip","country"],"additionalProperties":false},"rating":{"type":"number","minimum":0,"maximum":5}},"required":["name","mail","address"],"additionalProperties":false}}},"required":["people"],"additionalProperties":false})"},
      };
  return cases;
}

}  // namespace seedbed::engine::grammar::kit
