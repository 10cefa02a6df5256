"""The words of a vocabulary: which of its tokens are words, which are forms of one word, and in how many environments each stands;
and which words a vocabulary should have.
"""

import collections
import json
import re
from pathlib import Path

from . import phrases
from .errors import TrainError

# A name of several words in quotes, as tools and their parameters have it: "listAgentPasses", "agent_pass_id".
NAME = re.compile(r'"([A-Za-z]+(?:_[A-Za-z]+)+|[A-Za-z][a-z]+(?:[A-Z][a-z]+)+)"')
WORD = re.compile(r"[A-Z]?[a-z]+(?![^\W\d_A-Z])")
COMMON = 0.5  # share of the texts that have a word which merges make anyway, or a phrase holds
ENDINGS = (("s", ""), ("es", ""), ("ies", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"))


def plain_words(tokenizer):
    """{id: text} of the tokens of a tokenizer.json that are ASCII letters alone."""
    try:
        vocab = json.loads(Path(tokenizer).read_text(encoding="utf-8"))["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError("tokenizer", tokenizer, f"no tokenizer.json: {error!r}", "give the one that the export was made with") from None
    return {i: text for text, i in vocab.items() if text.isascii() and text.isalpha()}


def environments_with(records):
    """For each token the number of prompts whose sequences, or which itself, hold it."""
    by_prefix = {}
    for i in range(len(records)):
        held = by_prefix.setdefault(records.prefix_of[i], set())
        held.update(records.ids[records.offsets[i] : records.offsets[i + 1]])
    counts = {}
    for prefix, held in by_prefix.items():
        held.update(records.prefixes[prefix])
        for token in held:
            counts[token] = counts.get(token, 0) + 1
    return counts, len(by_prefix)


def rare_words(records, words, vocab_size, common):
    """Ids of the words that at most the share `common` of the environments hold, rising."""
    counts, environments = environments_with(records)
    return [i for i in sorted(words) if i < vocab_size and counts.get(i, 0) <= common * environments]


def forms(words):
    """{id: (stem, form)}: "bonds" is a form of "bond" where "bond" is a word of the vocabulary, too, in whatever case; case is part
    of the form."""
    known = {text.lower() for text in words.values()}
    out = {}
    for i, text in words.items():
        low = text.lower()
        case = "lower" if text.islower() else "upper" if text.isupper() else "title"
        stem, form = low, ""
        for ending, instead in ENDINGS:
            base = low[: len(low) - len(ending)] + instead
            if low.endswith(ending) and len(base) >= 3 and base in known:
                stem, form = base, f"{ending}/{instead}"
                break
        out[i] = (stem, f"{form} {case}")
    return out


def of_names(texts, count):
    """The up to `count` words that names of tools and parameters are made of, the commonest first, each in every form that two of the
    texts have: a name's word is found again in a request only where both are tokens of one stem."""
    standing, named = collections.Counter(), collections.Counter()
    for text in texts:
        standing.update(set(WORD.findall(text)))
        named.update({word.lower() for name in set(NAME.findall(text)) for word in WORD.findall(name)})
    known = sorted(word for word, held in standing.items() if held > 1 and len(word) > 1)
    families = collections.defaultdict(list)
    for i, (stem, _) in forms(dict(enumerate(known))).items():
        families[stem].append(known[i])
    held = {stem: sum(named[word] for word in {member.lower() for member in members}) for stem, members in families.items()}
    out = []
    for stem in sorted(families, key=lambda stem: (-held[stem], stem)):
        out += [word for word in families[stem] if held[stem] and standing[word] <= COMMON * len(texts)]
    return out[:count]


def write(files, count, out):
    """of_names() of rendered texts (phrases.py), as what `seedbed engine train-tokenizer --words` reads."""
    words = of_names(phrases.read_texts(files), count)
    Path(out).write_text(json.dumps(words, indent=0) + "\n", encoding="utf-8")
    return len(words)
