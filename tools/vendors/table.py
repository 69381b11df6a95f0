"""The table of registers: written, read, and compared with what was compiled."""

from .targets import ALL

TITLE = """# What kernels take of GPUs

Written by `tools/check_vendors --update`, which compiles without the hardware. The drivers' own compilers may decide
otherwise: these numbers show what a change of a kernel does, and that no kernel is far from what devices hold.

* `gfx906` (GCN), `gfx90a` (CDNA), `gfx1030` and `gfx1100` (RDNA): registers of vectors / of scalars.
* `sm_90`: registers of a work-item, of machine code made from the PTX for sm_70.
* `skl` (integrated) and `acm-g10` (Arc): work-items that share a thread's 128 registers.
* local: bytes of local memory known when compiling; what launches ask for is sized by the host to what the device has.
* `+160B`: bytes of private memory of a work-item (Intel: of a thread), in the kernels that `tools/check_vendors` names.
* `-`: not built there: no double precision, or of each family the first variant alone. No kernel spills.

Families for CPUs (`fused`) are compiled too but are not in the table: they keep a tile of registers a work-item, in
vectors as CPUs have them.
"""


def describe(variant):
    return " ".join(f"{name}={value}" for name, value in variant) or "no options"


class Table:
    """families, targets: what was compiled; uses: {(family, variant, target name): {kernel: Use}}."""

    def __init__(self, families, targets, uses):
        self.targets = [target for target in targets if target.vendor != "SPIR-V"]
        self.rows = {}  # (kernel, options): {target name: Use}
        for name, family in families.items():
            if not family.gpu:
                continue
            variants = [variant for variant, level in family.variants(False).items() if level != ALL]
            # options that have one value in all of them are not worth naming
            fixed = set.intersection(*map(set, variants)) if len(variants) > 1 else set()
            for variant in variants:
                text = describe([option for option in variant if option not in fixed])
                for target in self.targets:
                    for kernel, use in uses.get((name, variant, target.name), {}).items():
                        self.rows.setdefault((kernel, text), {})[target.name] = use

    def cell(self, target, use):
        if use is None or use.registers is None:
            return "-"
        text = str(use.more) if target.vendor == "Intel" else str(use.registers)
        text += f"/{use.more}" if target.vendor == "AMD" else ""
        return text + (f"+{use.scratch}B" if use.scratch else "")

    # ---- written ----

    def write(self):
        lines = [TITLE, "## Compilers", ""]
        lines += [f"* {target.name}: {target.version()}" for target in self.targets]
        lines += ["", "## Occupancy", "", self.summary(), "", "## Registers", ""]
        head = ["kernel", "options", *(target.name for target in self.targets), "local"]
        lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
        for (kernel, options), uses in self.rows.items():
            cells = [self.cell(target, uses.get(target.name)) for target in self.targets]
            lines.append(f"| {' | '.join([kernel, options, *cells, str(self.local(uses))])} |")
        return "\n".join(lines) + "\n"

    @staticmethod
    def local(uses):
        return max(use.local for use in uses.values())

    def summary(self):
        """The occupancy that the registers imply: work-items resident at once, of those that a device can hold."""
        lines = []
        for target in self.targets:
            rows = [(target.occupancy(uses[target.name]), row, uses[target.name]) for row, uses in self.rows.items()
                    if target.name in uses]
            rows = [row for row in rows if row[0] is not None]
            if target.vendor == "Intel":
                widths = [uses[target.name].more for uses in self.rows.values() if target.name in uses]
                if widths:
                    counts = ", ".join(f"{widths.count(width)} with SIMD{width}" for width in sorted(set(widths)))
                    lines.append(f"* {target.name}: all threads resident; {counts}")
            elif rows:
                least, (kernel, options), use = min(rows, key=lambda row: row[0])
                full = sum(row[0] == 1 for row in rows)
                lines.append(f"* {target.name}: {full} of {len(rows)} kernels leave room for all work-items; least is "
                             f"{100 * least:.0f} % ({use.registers} registers: {kernel}, {options})")
        return "\n".join(lines)

    # ---- read and compared ----

    @staticmethod
    def read(path):
        """Versions of the compilers, and {(kernel, options): {target name: cell}}."""
        versions, rows, head = {}, {}, None
        for line in path.read_text().split("\n"):
            if line.startswith("* ") and ": " in line:
                name, text = line[2:].split(": ", 1)
                versions.setdefault(name, text)
            elif line.startswith("| kernel "):
                head = [cell.strip() for cell in line.strip("|").split("|")]
            elif line.startswith("| ") and head:
                cells = [cell.strip() for cell in line.strip("|").split("|")]
                rows[cells[0], cells[1]] = dict(zip(head[2:], cells[2:]))
        return versions, rows

    def compare(self, path, whole):
        """What is wrong, as texts. whole: rows of the table that were not compiled are wrong too."""
        if not path.exists():
            return [f"{path} is not there: tools/check_vendors --update writes it"]
        versions, rows = self.read(path)
        wrong = []
        for target in self.targets:
            if versions.get(target.name) != target.version():
                print(f"registers for {target.name} are not compared: the table has another compiler's")
                continue
            for key, uses in self.rows.items():
                if target.name not in uses:
                    continue
                where = f"{key[0]} on {target.name} with {key[1]}"
                now, before = self.cell(target, uses[target.name]), rows.get(key, {}).get(target.name)
                if before is None:
                    wrong.append(f"{where}: not in the table; tools/check_vendors --update adds it")
                elif before != "-" and self.grew(target, now, before):
                    wrong.append(f"{where}: grew from {before} to {now} (SIMD width where that is what the table holds)")
        if whole:
            wrong += [f"{path}: nothing like {key[0]} with {key[1]} is compiled; tools/check_vendors --update removes it"
                      for key in rows if key not in self.rows]
        return wrong

    @staticmethod
    def grew(target, now, before):
        (now, _, now_scratch), (before, _, before_scratch) = now.partition("+"), before.partition("+")
        if int(now_scratch[:-1] or 0) > int(before_scratch[:-1] or 0):
            return True
        if target.vendor == "Intel":
            return int(now) < int(before)
        return any(int(n) > 1.1 * int(b) and int(n) > int(b) + 4 for n, b in zip(now.split("/"), before.split("/")))
