#include "tests/engine_text/kit.h"

#include "engine/text/bpe_train.h"
#include "engine/text/unicode.h"

namespace seedbed::engine::text {

const std::string& training_text() {
  static const std::string text = [] {
    const std::string once =
        "The orders that were shipped on 12 May 2031 have been refunded; the customer's balance is "
        "-250 cents.\nint main(int argc, char** argv) {\n    for (int i = 0; i < 100; ++i) "
        "total += items[i].price;\n    return total;\n}\n"
        "Заказы были отправлены, и заказы были "
        "оплачены.\n订单已经发货，订单已经退款。我们的订单很多。\n"
        "注文はキャンセルされました。注文を確認してください。\n😀😀 {\"id\": 17, \"state\": "
        "\"open\"}\t\t\n"
        "there is the thing, then the other thing; they're there, aren't they?\n\n";
    std::string out;
    for (int i = 0; i < 8; ++i) out += once;
    return out;
  }();
  return text;
}

const schemas::Value& small_json() {
  static const schemas::Value json = [] {
    auto trainer = BpeTrainer::make({.vocab_size = 500, .added = deepseek_chat_tokens()});
    EXPECT_TRUE(trainer.ok());
    trainer->add_text(training_text());
    return trainer->train().value();
  }();
  return json;
}

const Tokenizer& small_tokenizer() {
  static const Tokenizer tokenizer = [] {
    auto made = Tokenizer::from_value(small_json(), "small");
    EXPECT_TRUE(made.ok()) << message_of(made);
    return made.value();
  }();
  return tokenizer;
}

std::string random_text(Rng& rng, int parts) {
  static const std::vector<std::string> kParts = {"the",
                                                  " other",
                                                  "They're",
                                                  "x'S",
                                                  "don't",
                                                  "HTTP",
                                                  " 12345",
                                                  "3.14",
                                                  "٣७²½Ⅷ",
                                                  " ",
                                                  "  ",
                                                  "\t",
                                                  "\n",
                                                  "\r\n",
                                                  "\n\n",
                                                  " \n ",
                                                  "   \n",
                                                  "\u00a0",
                                                  "\u3000",
                                                  "\u2028",
                                                  "\u180e",
                                                  "\v",
                                                  "\x1f",
                                                  "\x7f",
                                                  "\u0085",
                                                  "\u200d",
                                                  "!",
                                                  "!?",
                                                  "();\n",
                                                  "->",
                                                  "...",
                                                  "$x",
                                                  "<b>",
                                                  "«»",
                                                  "—",
                                                  "€",
                                                  "é",
                                                  "e\u0301",
                                                  "\u0301",
                                                  "한국",
                                                  "日本語",
                                                  "キー",
                                                  "ア・イ",
                                                  "フ゛",
                                                  "\u30a0",
                                                  "\u3098",
                                                  "ゟ゜",
                                                  "中文字",
                                                  "\u3099",
                                                  "〇",
                                                  "привет",
                                                  "עברית",
                                                  "हिन्दी",
                                                  "😀",
                                                  "👩‍👩‍👧",
                                                  "Ⓐ",
                                                  "<｜User｜>",
                                                  "<think>",
                                                  "｜DSML｜",
                                                  "<｜User",
                                                  "\ufeff",
                                                  std::string("\0", 1)};
  std::string out;
  for (int i = 0; i < parts; ++i) {
    if (rng.chance(4, 5)) {
      out += rng.pick(kParts);
      continue;
    }
    auto c = static_cast<std::uint32_t>(rng.below(rng.chance(1, 2) ? 0x3000 : 0x110000));
    if (c >= 0xd800 && c < 0xe000) c -= 0x1000;
    append_utf8(out, c);
  }
  return out;
}

std::string random_bytes(Rng& rng, std::size_t size) {
  std::string out;
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(rng.below(256));
  return out;
}

}  // namespace seedbed::engine::text
