#!/usr/bin/env python3
"""Turns result files of `cldeform bench --json` and of bench/peers into a picture (SVG) and a Markdown table.

  bench/report.py cldeform.json torchvision.json openblas.json --svg ratios.svg --markdown table.md

Each file is a series; one with several algorithms for the same case is a series for each of them. The first series is
what the others are set against: a ratio is their time divided by its time, above 1 is slower. Times are medians of wall
times. Needs nothing but Python 3. Exit status: 0 done, 2 a wrong file or option.
"""

import argparse
import html
import json
import math
import os
import statistics
import sys

SCHEMA = "cldeform-bench-1"
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c6d1f", "#555555")  # Okabe and Ito's
FONT = "font-family='Helvetica,Arial,sans-serif'"
WIDTH, MARGIN, BAR, GAP, AXIS, CHARACTER = 960, 20, 15, 12, 34, 7.2  # pixels


# ---- files ----


class AllSeries(list):
    """Of (name, {key: row}). paired: samples of one number were taken side by side, as bench/peers/run.py does."""

    paired = False


class ReportError(ValueError):
    """A wrong file; the text names it."""


def read_file(path):
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        raise ReportError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ReportError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ReportError(f'{path}: schema is not "{SCHEMA}"')
    if not isinstance(found.get("metadata"), dict) or not isinstance(found.get("results"), list):
        raise ReportError(f"{path}: metadata is no object, or results is no list")
    for number, row in enumerate(found["results"]):
        for name in ("case", "problem", "pass", "algorithm", "dtype", "status"):
            if not isinstance(row, dict) or not isinstance(row.get(name), str):
                raise ReportError(f"{path}: results[{number}].{name} is missing, or no string")
        if row["status"] == "ok" and not (isinstance(row.get("median_ms"), (int, float)) and row["median_ms"] > 0):
            raise ReportError(f"{path}: results[{number}].median_ms is no number above 0")
    return found


def key_of(row):
    """What rows of different files have in common when they are of the same work."""
    return (row["case"], row["pass"], row["dtype"], row.get("layout") or "", row.get("cache") or "hot", row["problem"])


def make_series(path, name, found):
    """Of one file: (name, {key: row}) for each of its algorithms, if some case has several."""
    by_key = {}
    for row in found["results"]:
        by_key.setdefault(key_of(row), []).append(row)
    if all(len(rows) == 1 for rows in by_key.values()):
        return [(name, {key: rows[0] for key, rows in by_key.items()})]
    algorithms = list(dict.fromkeys(row["algorithm"] for row in found["results"]))
    series = []
    for algorithm in algorithms:
        rows = {key: [row for row in rows if row["algorithm"] == algorithm] for key, rows in by_key.items()}
        if any(len(few) > 1 for few in rows.values()):
            raise ReportError(f"{path}: there are several rows of one case, pass and algorithm")
        series.append((f"{name} {algorithm}", {key: few[0] for key, few in rows.items() if few}))
    return series


def read_series(paths, names):
    """All series, and a line for each file that says what it is."""
    series, notes = AllSeries(), []
    for number, path in enumerate(paths):
        found = read_file(path)
        name = names[number] if names else os.path.basename(path).removesuffix(".json")
        series += make_series(path, name, found)
        about = found["metadata"]
        threads = f"{about['threads']} threads" if about.get("threads") else ""
        parts = [f"{about.get('program', '')} {about.get('version') or ''}".strip(), about.get("device"),
                 about.get("driver"), threads, (about.get("date") or "")[:10]]
        notes.append(f"{name}: {', '.join(str(part) for part in parts if part)}")
    return series, notes


def all_keys(series):
    return list(dict.fromkeys(key for _, rows in series for key in rows))


def label_of(key, keys):
    """The case, and those of type, layout and cache that not all keys share."""
    parts = [key[0]] + [key[i] for i in (2, 3, 4) if len({other[i] for other in keys}) > 1]
    return " ".join(part for part in parts if part)


def time_of(rows, key):
    """Milliseconds, or None: there is no such row, or it failed."""
    row = rows.get(key)
    return row["median_ms"] if row and row["status"] == "ok" else None


def ratio_of(series, number, key):
    """To the first series: of medians, or if they are paired the median of ratios. None where there is none."""
    base, time = time_of(series[0][1], key), time_of(series[number][1], key)
    if not base or not time:
        return None
    times = [rows[key].get("times_ms") or [] for rows in (series[0][1], series[number][1])]
    if series.paired and all(times):
        return statistics.median(new / old for old, new in zip(*times))
    return time / base


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else None


def time_text(time):
    return f"{time:.{3 if time < 10 else 2 if time < 100 else 1}f}"


def ratio_text(ratio):
    return f"{ratio:.{2 if ratio < 10 else 1 if ratio < 100 else 0}f}"


# ---- Markdown ----


def table_cell(series, number, key):
    """Milliseconds, and the number of threads where it is not the file's; two cells but for the first series."""
    row, ratio = series[number][1].get(key), ratio_of(series, number, key)
    text = "" if row is None else "FAIL" if row["status"] != "ok" else time_text(row["median_ms"])
    return [text] if number == 0 else [text, ratio_text(ratio) if ratio else ""]


def make_table(head, rows, words):
    """Of a head and rows of texts; all columns but the first `words` are numbers, and stand right."""
    lines = [head, ["---"] * words + ["--:"] * (len(head) - words), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def make_markdown(series, notes):
    keys = all_keys(series)
    head = ["case", "pass", f"{series[0][0]} ms"]
    for name, _ in series[1:]:
        head += [f"{name} ms", "ratio"]
    rows = [[label_of(key, keys), key[1]] + sum((table_cell(series, n, key) for n in range(len(series))), [])
            for key in keys]
    for direction in dict.fromkeys(key[1] for key in keys):
        means = []
        for number in range(1, len(series)):
            mean = geometric_mean([ratio for ratio in (ratio_of(series, number, key) for key in keys
                                                       if key[1] == direction) if ratio])
            means += ["", ratio_text(mean) if mean else ""]
        rows.append(["**geometric mean**", direction, "", *means])
    text = make_table(head, rows, 2)
    notes = [f"* {note}" for note in notes]
    return "\n".join([*text, "", f"Medians of wall times; ratio: time / time of {series[0][0]}, above 1 is slower.", "",
                      *notes, ""])


# ---- the picture ----


class Axis:
    """Ratios are logarithmic: twice as slow is as far from 1 as twice as fast. Times begin at 0."""

    def __init__(self, metric, values, left, right):
        self.logarithmic, self.left, self.right = metric == "ratio", left, right
        self.low, self.high = 0.0, max(values, default=1.0)
        if self.logarithmic:
            self.low = math.log(min(values, default=1.0))
            self.high = max(math.log(self.high), self.low + math.log(1.5))

    def at(self, value):
        value = math.log(value) if self.logarithmic else value
        return self.left + (self.right - self.left) * (value - self.low) / (self.high - self.low)

    def start(self):
        """Where bars begin."""
        return self.at(1) if self.logarithmic else self.left

    def ticks(self):
        """Of 1, 2 and 5 times powers of ten, as many as there is room for."""
        if not self.logarithmic:
            step = next(step for step in (of * 10.0**decade for decade in range(-6, 9) for of in (1, 2, 5))
                        if self.high / step <= 8)
            return [number * step for number in range(int(self.high / step) + 1)]
        decades = range(math.floor(self.low / math.log(10)), math.ceil(self.high / math.log(10)) + 1)
        steps = (1, 2, 5) if self.high - self.low < 3 * math.log(10) else (1,)
        ticks = [step * 10.0**decade for decade in decades for step in steps]
        return [tick for tick in ticks if self.low - 1e-9 <= math.log(tick) <= self.high + 1e-9]


def make_axis(series, shown, keys, left, metric):
    find = ratio_of if metric == "ratio" else lambda series, number, key: time_of(series[number][1], key)
    values = [value for number in shown for value in (find(series, number, key) for key in keys) if value]
    return Axis(metric, values + [1.0] if metric == "ratio" else values, left, WIDTH - MARGIN - 44)


def text_at(x, y, text, anchor="start", size=12, colour="#222", more=""):
    return (f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' fill='{colour}' {more}>"
            f"{html.escape(text)}</text>")


def draw_bars(series, key, shown, axis, y, metric):
    """The bars of one case, from the top at y on; those of `shown` series. Numbers stand right of their bar."""
    parts = []
    for slot, number in enumerate(shown):
        row, top = series[number][1].get(key), y + slot * BAR
        value = ratio_of(series, number, key) if metric == "ratio" else time_of(series[number][1], key)
        text, colour, left, right = "", "#222", axis.start(), axis.start()
        if value:
            left, right = sorted((axis.start(), axis.at(value)))
            text = ratio_text(value) if metric == "ratio" else time_text(value)
            parts.append(f"<rect x='{left:.1f}' y='{top + 1:.1f}' width='{max(right - left, 1):.1f}' "
                         f"height='{BAR - 2}' fill='{COLOURS[number % len(COLOURS)]}'/>")
        elif row and row["status"] != "ok":
            text, colour = "FAIL", "#b00020"
        elif row:
            text, colour = f"{time_text(row['median_ms'])} ms", "#555"  # of nothing to set it against
        if text:
            parts.append(text_at(right + 4, top + BAR - 4, text, size=11, colour=colour))
    return parts


def draw_axis(axis, top, bottom, text):
    parts = [text_at(axis.right, top + 10, text, "end", 11, "#555")]
    for tick in axis.ticks():
        x, strong = axis.at(tick), abs(axis.at(tick) - axis.start()) < 0.1
        parts.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{top + AXIS - 4:.1f}' y2='{bottom:.1f}' "
                     f"stroke='{'#222' if strong else '#ddd'}' stroke-width='{1.5 if strong else 1}'/>")
        parts.append(text_at(x, top + AXIS - 8, f"{tick:g}", "middle", 11, "#555"))
    return parts


def draw_panel(series, direction, top, left, metric):
    """One pass: its name, an axis, and a group of bars for each case. Returns the parts, and where it ends."""
    everything = all_keys(series)
    keys = [key for key in everything if key[1] == direction]
    shown = [number for number in range(1 if metric == "ratio" else 0, len(series))
             if any(key in series[number][1] for key in keys)]
    axis = make_axis(series, shown, keys, left, metric)
    group = max(len(shown), 2) * BAR + GAP
    bottom = top + AXIS + group * len(keys)
    unit = f"time / time of {series[0][0]} (logarithmic)" if metric == "ratio" else "milliseconds"
    grey, parts = [], [text_at(MARGIN, top + 14, direction, size=15, more="font-weight='bold'")]
    parts += draw_axis(axis, top, bottom, unit)
    for number, key in enumerate(keys):
        y = top + AXIS + GAP / 2 + number * group
        if number % 2:
            grey.append(f"<rect x='{MARGIN}' y='{y - GAP / 2:.1f}' width='{WIDTH - 2 * MARGIN}' height='{group:.1f}' "
                        "fill='#f5f5f5'/>")
        parts.append(text_at(left - 10, y + BAR - 3, label_of(key, everything), "end"))
        if metric == "ratio":
            base = table_cell(series, 0, key)[0]
            parts.append(text_at(left - 10, y + 2 * BAR - 4, f"{base} ms" if base not in ("", "FAIL") else base or "-",
                                 "end", 11, "#555"))
        parts += draw_bars(series, key, shown, axis, y, metric)
    return grey + parts, bottom + 18


def draw_legend(series, top, metric):
    """One line or more, and where it ends."""
    parts, x, y = [], MARGIN, top
    for number, (name, _) in enumerate(series):
        text = f"{name} = 1" if metric == "ratio" and number == 0 else name
        width = 18 + CHARACTER * len(text) + 18
        if x + width > WIDTH - MARGIN:
            x, y = MARGIN, y + 20
        if metric == "ratio" and number == 0:
            parts.append(f"<line x1='{x + 6}' x2='{x + 6}' y1='{y - 11}' y2='{y + 2}' stroke='#222' stroke-width='2'/>")
        else:
            parts.append(f"<rect x='{x}' y='{y - 10}' width='12' height='12' fill='{COLOURS[number % len(COLOURS)]}'/>")
        parts.append(text_at(x + 18, y, text))
        x += width
    return parts, y + 24


def make_svg(series, notes, metric="ratio", title=None):
    keys = all_keys(series)
    left = MARGIN + max(110, CHARACTER * max(len(label_of(key, keys)) for key in keys) + 16)
    title = title or (f"Time relative to {series[0][0]}: longer is slower" if metric == "ratio"
                      else "Time of a call: shorter is faster")
    legend, y = draw_legend(series, MARGIN + 40, metric)
    parts = [text_at(MARGIN, MARGIN + 12, title, size=17, more="font-weight='bold'"), *legend]
    for direction in dict.fromkeys(key[1] for key in keys):
        more, y = draw_panel(series, direction, y, left, metric)
        parts += more
    parts += [text_at(MARGIN, y + 14 * number, note, size=11, colour="#555") for number, note in enumerate(notes)]
    height = y + 14 * len(notes) + 6
    return "\n".join([f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height:.0f}' "
                      f"viewBox='0 0 {WIDTH} {height:.0f}' {FONT}>",
                      f"<rect width='{WIDTH}' height='{height:.0f}' fill='white'/>", *parts, "</svg>", ""])


# ---- the command line ----


def refuse(text):
    print(f"report.py: {text}", file=sys.stderr)
    return 2


def write(path, text):
    if path == "-":
        sys.stdout.write(text)
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.error = lambda message: sys.exit(refuse(message))
    parser.add_argument("files", nargs="+", metavar="FILE.json")
    parser.add_argument("--svg", metavar="FILE", help="writes the picture; -: to standard output")
    parser.add_argument("--markdown", metavar="FILE", help="writes the table; -: to standard output")
    parser.add_argument("--metric", choices=("ratio", "time"), help="of the picture; default ratio, of one series time")
    parser.add_argument("--paired", action="store_true",
                        help="ratios are medians of the ratios of samples that were taken side by side")
    parser.add_argument("--pass", dest="direction", choices=("forward", "backward"), help="that pass alone")
    parser.add_argument("--names", metavar="LIST", help="of the files, with commas between; default: their own")
    parser.add_argument("--title", help="of the picture")
    options = parser.parse_args()
    names = options.names.split(",") if options.names else None
    if not options.svg and not options.markdown:
        parser.error("nothing is asked for, expected --svg or --markdown")
    if names and len(names) != len(options.files):
        parser.error(f"--names has {len(names)} names, expected {len(options.files)}, one for each file")
    try:
        series, notes = read_series(options.files, names)
        series.paired = options.paired
        if options.direction:
            series[:] = [(name, {key: row for key, row in rows.items() if key[1] == options.direction})
                         for name, rows in series]
        if not all_keys(series):
            raise ReportError("the files have no rows")
        metric = options.metric or ("ratio" if len(series) > 1 else "time")
        if options.svg:
            write(options.svg, make_svg(series, notes, metric, options.title))
        if options.markdown:
            write(options.markdown, make_markdown(series, notes))
    except (ReportError, OSError) as error:
        sys.exit(refuse(str(error)))


if __name__ == "__main__":
    main()
