"""What people get wrong in stage 01, each with its name (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
    # -- 1.1 Words
    Mistake(
        "1.1",
        "words that are equally frequent stay in the order in which they were seen",
        "Counter.most_common() leaves ties as they came. Sort by two things: the count, downwards, then the word.",
        "words.py",
        (("sorted(counts, key=lambda word: (-counts[word], word))", "[word for word, _ in counts.most_common()]"),),
    ),
    Mistake(
        "1.1",
        "words that are equally frequent are sorted backwards",
        "reverse=True turns the order of the words around as well. Sort by (-count, word) instead.",
        "words.py",
        (
            (
                "sorted(counts, key=lambda word: (-counts[word], word))",
                "sorted(counts, key=lambda word: (counts[word], word), reverse=True)",
            ),
        ),
    ),
    Mistake(
        "1.1",
        "the vocabulary has one word too many",
        "<unk> takes one of the vocab_size ids, so there is room for one word less.",
        "words.py",
        (("ordered[: vocab_size - 1]", "ordered[:vocab_size]"),),
    ),
    Mistake(
        "1.1",
        "the text is split at single spaces",
        "split(' ') gives empty words between two spaces and keeps line ends; split() takes any white space.",
        "words.py",
        (
            ("for word in text.split())\n        counts.pop", "for word in text.split(' '))\n        counts.pop"),
            ("return [self.ids.get(word, 0) for word in text.split()]", "return [self.ids.get(word, 0) for word in text.split(' ')]"),
        ),
    ),
    Mistake(
        "1.1",
        "unknown words are left out",
        "Each word of the text has to give an id: 0 where it is not in the vocabulary.",
        "words.py",
        (("self.ids.get(word, 0) for word in text.split()", "self.ids[word] for word in text.split() if word in self.ids"),),
    ),
    Mistake(
        "1.1",
        "<unk> in a text is counted as a word like others",
        "A literal <unk> already has id 0: take it out of the counts before you choose the words.",
        "words.py",
        (("        counts.pop(UNKNOWN, None)\n", ""),),
    ),
    Mistake(
        "1.1",
        "a negative id decodes to a word from the end of the list",
        "Python counts negative indices from the end. Test 0 <= id before you look the word up.",
        "words.py",
        (("if not 0 <= id < len(self.words)", "if not id < len(self.words)"),),
    ),
]
