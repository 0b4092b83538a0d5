"""What people get wrong in 5.2 Windows (see bootcamp/grading/mistakes.py)."""

from bootcamp.grading.mistakes import Mistake

COUNT = "return (len(self.tokens) - self.length - 1) // self.stride + 1"
START = "start = index * self.stride"
WINDOW = "window = self.tokens[start : start + self.length + 1].long()  # (T + 1,)"
PAIR = "return Batch(window[:-1], window[1:])"
STARTS = "starts = torch.randint(len(tokens) - length, (batch_size,), generator=generator)"
WINDOWS = "[tokens[start : start + length + 1].long() for start in starts.tolist()]"
PAIRS = "return Batch(windows[:, :-1], windows[:, 1:])"


def starts(wrong: str) -> tuple[tuple[str, str], ...]:
    """Other starts of random windows."""
    return ((STARTS, f"starts = {wrong}"),)


MISTAKES = [
    Mistake(
        "5.2",
        "the targets are the ids themselves, not the tokens that come next",
        "A model that is to give back what it is given learns nothing. Cut T + 1 tokens: all but the last, all but the "
        "first.",
        "windows.py",
        ((PAIR, "return Batch(window[:-1], window[:-1])"), (PAIRS, "return Batch(windows[:, :-1], windows[:, :-1])")),
    ),
    Mistake(
        "5.2",
        "the targets are two tokens later, not one",
        "Shift once: ids are tokens s to s + T - 1, targets s + 1 to s + T.",
        "windows.py",
        (
            (WINDOW, WINDOW.replace("+ 1]", "+ 2]")),
            (PAIR, "return Batch(window[: self.length], window[-self.length :])"),
            (COUNT, COUNT.replace("- 1)", "- 2)")),
            (STARTS, STARTS.replace("- length", "- length - 1")),
            (WINDOWS, WINDOWS.replace("+ 1]", "+ 2]")),
            (PAIRS, "return Batch(windows[:, :length], windows[:, -length:])"),
        ),
    ),
    Mistake(
        "5.2",
        "the targets are the tokens before, not after",
        "Ids are all but the last of the T + 1 tokens, targets all but the first: window[:-1], window[1:].",
        "windows.py",
        ((PAIR, "return Batch(window[1:], window[:-1])"), (PAIRS, "return Batch(windows[:, 1:], windows[:, :-1])")),
    ),
    Mistake(
        "5.2",
        "windows have one id too few: the target was taken from the T tokens themselves",
        "T ids and T targets take T + 1 tokens.",
        "windows.py",
        ((WINDOW, WINDOW.replace(" + 1]", "]")), (WINDOWS, WINDOWS.replace(" + 1]", "]"))),
    ),
    Mistake(
        "5.2",
        "a window is counted whose last token has no target",
        "It takes T + 1 tokens: of N tokens, N - T - 1 is the last place where a window can begin.",
        "windows.py",
        ((COUNT, COUNT.replace(" - 1)", ")")),),
    ),
    Mistake(
        "5.2",
        "the last whole window is not counted",
        "From 0 to N - T - 1, in steps of the stride: (N - T - 1) // stride are behind the first one, which counts too.",
        "windows.py",
        ((COUNT, "return max(1, (len(self.tokens) - self.length - 1) // self.stride)"),),
    ),
    Mistake(
        "5.2",
        "windows are counted as if they lay side by side, whatever the stride",
        "The next window begins `stride` behind the one before, and not T.",
        "windows.py",
        ((COUNT, "return max(1, (len(self.tokens) - 1) // self.length)"),),
    ),
    Mistake(
        "5.2",
        "windows begin at every token, whatever the stride",
        "Window i begins at token i · stride.",
        "windows.py",
        ((START, "start = index"),),
    ),
    Mistake(
        "5.2",
        "tokens are left in the format that they were kept in",
        "Embeddings and losses take int64: .long().",
        "windows.py",
        ((WINDOW, WINDOW.replace(".long()", "")), (WINDOWS, WINDOWS.replace(".long()", ""))),
    ),
    Mistake(
        "5.2",
        "the last start is never drawn",
        "torch.randint(n, …) gives 0 to n - 1, and the starts are 0 to N - T - 1: n is N - T.",
        "windows.py",
        starts("torch.randint(max(1, len(tokens) - length - 1), (batch_size,), generator=generator)"),
    ),
    Mistake(
        "5.2",
        "the first start is never drawn",
        "The first window begins at token 0: torch.randint(n, …) gives 0 to n - 1.",
        "windows.py",
        starts(
            "torch.randint(min(1, len(tokens) - length - 1), len(tokens) - length, (batch_size,), generator=generator)"
        ),
    ),
    Mistake(
        "5.2",
        "a start is drawn whose window has no last target",
        "A window takes T + 1 tokens: the last that fits begins at N - T - 1, which torch.randint(N - T, …) gives.",
        "windows.py",
        starts("torch.randint(len(tokens) - length + 1, (batch_size,), generator=generator)"),
    ),
    Mistake(
        "5.2",
        "starts are drawn among multiples of T only",
        "Every token that has T behind it is a start: draw the start itself, and not the number of a window.",
        "windows.py",
        starts("torch.randint((len(tokens) - length - 1) // length + 1, (batch_size,), generator=generator) * length"),
    ),
    Mistake(
        "5.2",
        "the windows of a batch begin one behind the other, from one random start",
        "Draw B starts. Windows that lie side by side are nearly the same text, and a batch of them says little.",
        "windows.py",
        starts(
            "(torch.randint(len(tokens) - length, (1,), generator=generator) + torch.arange(batch_size)) "
            "% (len(tokens) - length)"
        ),
    ),
    Mistake(
        "5.2",
        "the generator that was given is not used",
        "Hand it on: torch.randint(…, generator=generator). Without it, no run can be repeated.",
        "windows.py",
        starts("torch.randint(len(tokens) - length, (batch_size,))"),
    ),
    Mistake(
        "5.2",
        "no start is drawn twice in a batch",
        "The starts are independent: two windows of a batch may be the same, and B may be larger than the number of starts: torch.randint, not torch.randperm.",
        "windows.py",
        starts("torch.randperm(len(tokens) - length, generator=generator)[:batch_size]"),
    ),
]
