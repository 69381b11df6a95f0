"""The kernel families and the variants of each that the library builds on a GPU.

An axis is a list of dicts of -D options; a variant takes one dict of each axis. The first of every axis is the base.
Values that the tuning table chooses are read from it (src/tuning.c), so that they stay the library's own.
"""

import itertools
import re

from .targets import ALL, BASE, TABLE

BEST = "best"  # of ATOMIC_FORM: what the target's devices have (targets.py)


def axis(name, *values):
    return [{name: value} for value in values]


def types(*rows):
    return [dict(zip(("DATA_BITS", "OFFSET_BITS", "COLUMN_BITS"), row)) for row in rows]


# float, half, double; then what a caller may mix
PURE = types((32, 32, 32), (16, 16, 32), (64, 64, 64))
MIXED = types((32, 16, 32), (32, 64, 32), (16, 32, 32), (16, 64, 32), (64, 16, 64), (64, 32, 64))
HALF_COLUMNS = types((16, 16, 16), (16, 32, 16), (16, 64, 16))  # parts.c takes columns of the input's type
LONG = axis("INDEX_BITS", 32, 64)
LAYOUT = axis("NHWC", 1, 0)
KIND = axis("KIND", 1, 0, 2)
EDGE = axis("BORDER_EDGE", 0, 1)
OPEN = axis("SAMPLE_OPEN", 0, 1)
SIGMOID = axis("MASK_SIGMOID", 0, 1, 2)
ATOMIC = axis("ATOMIC_FORM", None, BEST, 1, 2, 3, 4, 5)


class Family:
    """table: axes whose whole product is in the table of registers. of_vendors: {vendor: axes whose product is in it for
    that vendor's devices}. alone: axes varied one at a time from the base.
    together: lists of axes whose products are compiled with --full. settle: what the library makes of a variant (options that
    do not matter have one value). gpu: False for explicit vector code that only CPUs are meant to run."""

    def __init__(self, table=(), alone=(), together=(), settle=None, gpu=True, of_vendors=None):
        self.table, self.alone, self.together = list(table), list(alone), list(together)
        self.of_vendors = of_vendors or {}
        self.settle, self.gpu = settle, gpu

    def options(self):
        """Names of all options."""
        axes = self.table + self.alone + [axis for product in self.together for axis in product]
        return {name for values in axes for value in values for name in value}

    def _variant(self, chosen):
        options = {}
        for values in self.table + self.alone:
            options.update(values[0])
        for value in chosen:
            options.update(value)
        if self.settle:
            self.settle(options)
        return tuple((name, value) for name, value in sorted(options.items()) if value is not None)

    def variants(self, full):
        """{variant: ALL, TABLE or BASE, what it is the least of, or the vendor that has it in the table}. full: the product of each axis with the table's."""
        found = {self._variant(chosen): TABLE for chosen in itertools.product(*self.table)}
        for base in itertools.product(*(values[:1] for values in self.table)):
            found[self._variant(base)] = BASE
        for vendor, axes in self.of_vendors.items():
            for chosen in itertools.product(*axes):
                found.setdefault(self._variant(chosen), vendor)
        products = [[values] for values in self.alone]
        if full:
            products += self.together + [[*self.table, values] for values in self.alone]
        for product in products:
            for chosen in itertools.product(*product):
                found.setdefault(self._variant(chosen), ALL)
        return found


def settle_conv2d(options):
    """As cldeform__step_options."""
    if options["KIND"] == 2:
        options["OFFSET_BITS"] = options["DATA_BITS"]
        options["BORDER_EDGE"] = 0
    if options["KIND"] != 1:
        options["MASK_SIGMOID"] = 0


def settle_scalar_planes(options):
    """Vectors of channels, and work-items that share them, exist where channels lie side by side."""
    settle_conv2d(options)
    if not options["NHWC"]:
        options["VECTOR"] = 1
        if "LANES" in options:
            options["LANES"] = options["PLANAR"] = 1


def settle_tiled(options):
    """As set_item of tiled_shape.c: doubles have smaller tiles."""
    settle_conv2d(options)
    if options["DATA_BITS"] == 64:
        options["ITEM_ROWS"] = options["ITEM_COLUMNS"] = 4
        options["TILE_COLUMNS"] = max(16, options["TILE_COLUMNS"] // 2)


def settle_tiled_grad(options):
    """As `fit` of tiled_shape.c: a tile of the columns' gradient, with what else is there, takes at most 32 KiB."""
    settle_tiled(options)
    real = 8 if options["DATA_BITS"] == 64 else 4

    def local():
        rows, columns = options["TILE_ROWS"], options["TILE_COLUMNS"]
        items = rows // options["ITEM_ROWS"] * (columns // options["ITEM_COLUMNS"])
        return (columns * (rows + 4) + items * 4) * real + columns * (16 + 5 * real)

    while local() > 32768:
        longer = "TILE_COLUMNS" if options["TILE_COLUMNS"] >= options["TILE_ROWS"] else "TILE_ROWS"
        options[longer] //= 2


def settle_tiled_grad_weight(options):
    settle_tiled(options)
    options["ITEM_COLUMNS"] = 4


def settle_roi(options):
    """Two methods have neither offset nor mask."""
    if options["METHOD"] >= 2:
        options["OFFSET_BITS"] = options["DATA_BITS"]
        options["MASK_SIGMOID"] = 0
    if options["METHOD"] != 0 and options.get("SLOPES") == 2:
        options["SLOPES"] = 1


def read_tuning(path):
    """(vendor, {parameter: value}) of each row of the table that a GPU may take, with what the row leaves to the last, the
    default row, which comes first here."""
    table = re.search(r"rows\[\] = \{\n(.*?)\n\};", path.read_text(), re.DOTALL)
    text = re.sub(r"/\*.*?\*/", "", table[1], flags=re.DOTALL) if table else ""
    rows = []
    for kind, strings in re.findall(r'\{"[^"]*", (\w+),((?:\s*"[^"]*",?)+)\}', text):
        strings = re.findall(r'"([^"]*)"(,?)', strings)
        parameters = " ".join(part for part, _ in strings[2:])  # behind vendor and name
        values = {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", parameters)}
        rows.append((kind, strings[0][0], values))
    if not rows or text.count("{") != len(rows) or rows[-1][0] != "ANY":
        raise ValueError(f"{path}: its table of rows is not as tools/vendors/variants.py reads it")
    return [(vendor, {**rows[-1][2], **row}) for kind, vendor, row in reversed(rows) if kind != "CPU"]


def find_families(tuning):
    def tuned(option, column, *more):
        """The values of GPUs' rows, and others that a tuning file may ask for."""
        return axis(option, *dict.fromkeys([row[column] for _, row in tuning] + list(more)))

    default = tuning[0][1]
    channel_vector = tuned("VECTOR", "channel_vector", 1, 2, 4, 8, 16)
    col2im_vector = tuned("VECTOR", "col2im_vector", 1, 2, 4, 8, 16)
    roi_vectors = tuned("VECTORS", "roi_vectors", 1, 2)
    tiles = [{"TILE_H": h, "TILE_W": w} for h, w in ((default["roi_tile_h"], default["roi_tile_w"]), (16, 1), (1, 16))]
    method = axis("METHOD", 0, 1, 2, 3)
    roi_types = [{"DATA_BITS": d, "OFFSET_BITS": o, "ROI_BITS": r}
                 for d, o, r in ((32, 32, 32), (16, 16, 32), (64, 64, 64))]
    roi_mixed = [{"DATA_BITS": d, "OFFSET_BITS": o, "ROI_BITS": r}
                 for d, o, r in ((32, 16, 32), (32, 64, 32), (16, 32, 32), (64, 32, 32), (32, 32, 64), (16, 16, 64))]
    # methods in float, other types in one method
    roi_table = [{**roi_types[0], **value} for value in method] + [{**row, "METHOD": 1} for row in roi_types[1:]]
    data = axis("DATA_BITS", 32, 16, 64)
    element = axis("ELEMENT_BITS", 32, 16, 64)
    widen = [{}, {"ELEMENT_BITS": 32, "WIDEN": 1}]
    rounding = [{"DATA_BITS": d, "WGRAD_BITS": w} for d in (32, 16, 64) for w in (d, *({16, 32, 64} - {d}))]

    # tiles of registers of CPUs, and what their options do not look at
    fused = dict(table=[PURE[:1]], alone=[KIND, PURE, LONG, EDGE, SIGMOID, axis("DIRECT", 1, 0),
                                          [{"VECTOR": v, "LANES": l, "VECTORS": n, "ROWS": r}
                                           for v, l, n, r in ((8, 8, 2, 6), (16, 16, 2, 12), (8, 4, 1, 6), (4, 4, 1, 6))]],
                 settle=settle_conv2d, gpu=False)

    columns_types = PURE + MIXED + HALF_COLUMNS
    step_axes = [KIND, LONG, EDGE, SIGMOID]

    def steps(vector, *more):
        return Family(table=[PURE, LAYOUT], alone=[*step_axes, columns_types, vector, *more],
                      together=[[KIND, LAYOUT, EDGE, *more]], settle=settle_scalar_planes)

    # The tile of the table, and what small problems and devices with little local memory get of it; some of a file's.
    def tile(rows, columns, item_rows, item_columns, depth, terms=None, grouped=0):
        return {"TILE_ROWS": rows, "TILE_COLUMNS": columns, "ITEM_ROWS": item_rows, "ITEM_COLUMNS": item_columns,
                "TILE_DEPTH": depth, "TILE_TERMS": terms or depth, "GROUPED": grouped}

    def tile_of(row):
        return tuple(row[f"tiled_{name}"] for name in ("rows", "columns", "item_rows", "item_columns", "depth"))

    largest = tile_of(default)
    of_vendors = {vendor: [PURE, [tile(*tile_of(row))]] for vendor, row in tuning if tile_of(row) != largest}
    tiled_tiles = [tile(*largest), tile(*largest, 2 * largest[4], 1), tile(32, *largest[1:]), tile(16, *largest[1:]), tile(64, 64, 4, 4, 16), tile(64, 64, 8, 4, 8), tile(32, 32, 4, 4, 4)]
    tiled_vector, tiled_aligned = axis("VECTOR", 4, 2, 1), axis("ALIGNED", 0, 1)

    def tiled(*more, settle=settle_tiled):
        return Family(table=[PURE, tiled_tiles[:2]], of_vendors=of_vendors,
                      alone=[KIND, LAYOUT, LONG, EDGE, SIGMOID, PURE + MIXED[:4], tiled_tiles, tiled_vector,
                             tiled_aligned, *more],
                      together=[[KIND, EDGE, *more], [tiled_tiles, tiled_vector, tiled_aligned, *more]],
                      settle=settle)

    roi_axes = [LONG, SIGMOID, roi_types + roi_mixed, channel_vector, roi_vectors]

    return {
        "atomic_probe": Family(table=[[{"DATA_BITS": bits, "ATOMIC_FORM": BEST} for bits in (32, 64)]],
                               alone=[[{"DATA_BITS": bits, **form} for bits in (32, 64) for form in ATOMIC[1:]]]),
        "conv2d_col2im": Family(table=[PURE, LAYOUT, ATOMIC[1:2]], alone=[*step_axes, columns_types, col2im_vector, ATOMIC],
                                together=[[KIND, LAYOUT, ATOMIC], [PURE, ATOMIC]], settle=settle_conv2d),
        "conv2d_col2offset": steps(channel_vector, OPEN),
        "conv2d_fused": Family(**fused),
        "conv2d_fused_grad": Family(**{**fused, "alone": [*fused["alone"], [{}, {"SAMPLE_OPEN": 1}]]}),
        "conv2d_fused_grad_weight": Family(**fused),
        "conv2d_fused_pack": Family(table=[data], gpu=False),
        "conv2d_im2col": steps(channel_vector, axis("PLANAR", 0, 1), axis("TILED", 1, 0),
                               tuned("LANES", "im2col_lanes", 1, 2, 32)),
        "conv2d_tiled": tiled(axis("TILE_TABLE", default["tiled_table"], 1)),
        "conv2d_tiled_grad": tiled(OPEN, ATOMIC[1:2] + ATOMIC[:1] + ATOMIC[2:], settle=settle_tiled_grad),
        "conv2d_tiled_grad_weight": tiled(axis("TILE_TABLE", 64),  # PIXELS of tiled_shape.c
                                          settle=settle_tiled_grad_weight),
        "conv2d_tiled_pack": Family(table=[data], alone=[[{"TILE_ROWS": rows, "GROUPED": grouped}
                                                          for rows in (64, 32, 16) for grouped in (0, 1)]]),
        "conv2d_transfer": Family(table=[[row for row in rounding if row["DATA_BITS"] == row["WGRAD_BITS"]], LAYOUT],
                                  alone=[LONG, axis("TILED", 1, 0)], together=[[rounding, LAYOUT]]),
        "gemm": Family(table=[axis("DATA_BITS", 32, 64)]),
        "offset_statistics": Family(table=[[{"DATA_BITS": d, "OFFSET_BITS": d} for d in (32, 64)]],
                                    alone=[LONG, EDGE, axis("PARTS", 4096)],
                                    together=[[axis("DATA_BITS", 32, 64), axis("OFFSET_BITS", 16, 32, 64), EDGE]]),
        "roi_forward": Family(table=[roi_table], alone=roi_axes, together=[[method, channel_vector, roi_vectors]],
                              settle=settle_roi),
        "roi_grad_input": Family(table=[roi_table], alone=[*roi_axes, tiles],
                                 together=[[method, channel_vector, roi_vectors]], settle=settle_roi),
        "roi_grad_offset": Family(table=[roi_types, axis("METHOD", 0, 1)], alone=[*roi_axes, axis("SLOPES", 1, 2)],
                                  together=[[axis("METHOD", 0, 1), channel_vector, axis("SLOPES", 1, 2)]],
                                  settle=settle_roi),
        "roi_levels": Family(table=[axis("ROI_BITS", 32, 64)]),
        "roi_sort": Family(table=[[{"ROI_BITS": r, "DATA_BITS": d} for r, d in ((32, 32), (32, 64), (64, 64))]],
                           alone=[method]),
        "transpose": Family(table=[element, axis("TILED", 1)], alone=[widen, axis("TILED", 1, 0)]),
    }
