"""What people get wrong in 1.1 Words (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

MISTAKES = [
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
        "the words stand in the order of the alphabet, however frequent they are",
        "The count comes first, downwards; the alphabet only decides between words that are equally frequent.",
        "words.py",
        (("sorted(counts, key=lambda word: (-counts[word], word))", "sorted(counts)"),),
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
        "only the last text is counted",
        "One counter has to take the words of all the texts: make it before the loop over them.",
        "words.py",
        (
            (
                "counts = Counter(word for text in texts for word in text.split())\n",
                "counts = Counter()\n        for text in texts:\n            counts = Counter(text.split())\n",
            ),
        ),
    ),
    Mistake(
        "1.1",
        "the text is split at single spaces",
        "split(' ') gives empty words between two spaces and keeps line ends; split() takes any white space.",
        "words.py",
        (
            ("for word in text.split())\n        counts.pop", "for word in text.split(' '))\n        counts.pop"),
            ("self.ids.get(word, 0) for word in text.split()", "self.ids.get(word, 0) for word in text.split(' ')"),
        ),
    ),
    Mistake(
        "1.1",
        "capital and small letters are taken for the same",
        "Words are taken as they stand: The and the are two words, each with its own count.",
        "words.py",
        (
            ("for word in text.split())\n", "for word in text.lower().split())\n"),
            ("for word in text.split()]", "for word in text.lower().split()]"),
        ),
    ),
    Mistake(
        "1.1",
        "unknown words are left out",
        "Each word of the text has to give an id: 0 where it is not in the vocabulary.",
        "words.py",
        (
            (
                "self.ids.get(word, 0) for word in text.split()",
                "self.ids[word] for word in text.split() if word in self.ids",
            ),
        ),
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
    Mistake(
        "1.1",
        "an id without a word decodes to <unk>",
        "<unk> stands for words that were not in the vocabulary. An id that no word has is an error: raise IndexError.",
        "words.py",
        (
            (
                'raise IndexError(f"id {id} is not in the vocabulary of {len(self.words)} words")',
                "words.append(UNKNOWN)\n                continue",
            ),
        ),
    ),
    Mistake(
        "1.1",
        "decode joins the words and does not return them",
        "A function without a return gives None, whatever it has worked out: return what the join gives.",
        "words.py",
        (('        return " ".join(words)', '        " ".join(words)'),),
    ),
]
