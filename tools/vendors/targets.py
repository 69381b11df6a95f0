"""The offline compilers of GPUs: how each is called, and what its result says of registers and memory."""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wundef", "-Wdouble-promotion", "-Werror",
            # helpers of .clh files, of which a kernel takes what it needs; parameters that a variant does not need
            "-Wno-unused-function", "-Wno-unused-parameter"]
CLANG, SPIRV, VALIDATOR = "clang-15", "llvm-spirv-15", "spirv-val"
AMD_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/amdgcn/bitcode")
CLC = Path("/usr/lib/clc/nvptx64--nvidiacl.bc")
ALL, TABLE, BASE = 2, 1, 0
HEADER = ["-Xclang", "-finclude-default-header"]


class Failed(Exception):
    """A compiler refused; the text is what it said."""


class Use:
    """What a kernel takes of a device. registers: of a work-item, None where nobody has allocated them yet. more: scalar
    registers of AMD's waves, SIMD width of Intel's. spills: registers kept in memory. scratch: private memory, bytes.
    local: what is known when compiling, bytes: not what comes as arguments."""

    def __init__(self, registers=None, more=None, spills=0, scratch=0, local=0):
        self.registers, self.more, self.spills, self.scratch, self.local = registers, more, spills, scratch, local


def warnings(options):
    """A literal without f is a double, which shows where no type is one."""
    doubles = any(re.fullmatch(r"-D(?!INDEX|ELEMENT)\w+_BITS=64", option) for option in options)
    return [*WARNINGS, "-Wno-double-promotion"] if doubles else WARNINGS


def run(command, directory):
    result = subprocess.run([str(word) for word in command], cwd=directory, capture_output=True, text=True, errors="replace",
                            timeout=300)
    text = (result.stdout + result.stderr).strip()
    if result.returncode != 0:
        raise Failed(text or f"{command[0]} ended with {result.returncode}")
    return text


def find_ptxas():
    """The path of ptxas, or None: on PATH, of a CUDA installation, or of PyPI's nvidia-cuda-nvcc."""
    places = [shutil.which("ptxas"), "/usr/local/cuda/bin/ptxas"]
    for root in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site_directories()}:
        places += sorted(Path(root).glob("nvidia/*/bin/ptxas"), reverse=True)
    return next((str(place) for place in places if place and os.access(place, os.X_OK)), None)


def site_directories():
    """Of the python3 that comes first on PATH, which may be another one than this."""
    try:
        text = subprocess.run(["python3", "-c", "import site; print(*site.getsitepackages(), site.getusersitepackages())"],
                              capture_output=True, text=True, timeout=30).stdout
    except OSError:
        return []
    return text.split()


def package_version(name):
    text = subprocess.run(["dpkg-query", "--show", "--showformat=${Version}", name], capture_output=True, text=True)
    return text.stdout if text.returncode == 0 else "unknown"


class Target:
    """name: as in the table. atomics: forms of atomic addition that its compiler takes, best first. fp64: has doubles.
    takes: which variants it compiles without --full: ALL; those of the TABLE; the BASE of each family."""

    vendor = ""

    def __init__(self, name, atomics=(1, 2), fp64=True, takes=TABLE):
        self.name, self.atomics, self.fp64, self.takes = name, atomics, fp64, takes

    def missing(self):
        """What is not installed; "": nothing."""
        return "" if shutil.which(CLANG) else CLANG

    def complete(self):
        """Whether all that the table holds of it can be found out."""
        return not self.missing()

    def version(self):
        return subprocess.run([CLANG, "--version"], capture_output=True, text=True).stdout.split("\n")[0]

    def options(self, variant):
        """The options of a variant as words; None if there is no such variant here."""
        if not self.fp64 and any(value == 64 and name.endswith("_BITS") and name != "INDEX_BITS"
                                 and name != "ELEMENT_BITS" for name, value in variant):
            return None
        words, standard = [], "CL1.2"
        for name, value in variant:
            if name == "ATOMIC_FORM":
                forms = self.atomics_of(dict(variant))
                value = forms[0] if value == "best" else value
                if value not in forms:
                    return None
                standard = "CL3.0" if value == 3 else standard
            words.append(f"-D{name}={value}")
        return [f"-cl-std={standard}", *words]

    def atomics_of(self, variant):
        return self.atomics

    def occupancy(self, use):
        """Part of the work-items that can be resident at once; None where registers do not limit them."""
        return None

    def compile(self, source, options, directory):
        """{kernel: Use}; raises Failed."""
        raise NotImplementedError


class Spirv(Target):
    vendor = "SPIR-V"

    def missing(self):
        return " ".join(tool for tool in (CLANG, SPIRV, VALIDATOR) if not shutil.which(tool))

    def compile(self, source, options, directory):
        common = [CLANG, "-x", "cl", *HEADER, *warnings(options), *options]
        run([*common, "-target", "spir-unknown-unknown", "-fsyntax-only", source], directory)
        # without passes: they make instructions that the translator does not know
        run([*common, "-target", "spir64-unknown-unknown", "-O1", "-Xclang", "-disable-llvm-passes", "-emit-llvm", "-c",
             "-o", "kernel.bc", source], directory)
        run([SPIRV, "--spirv-max-version=1.0", "kernel.bc", "-o", "kernel.spv"], directory)
        # 64-bit atomics are an extension of OpenCL's, which the validator's OpenCL does not have
        wide = "-DDATA_BITS=64" in options and any(word.startswith("-DATOMIC_FORM") for word in options)
        run([VALIDATOR, "--target-env", "spv1.0" if wide else "opencl1.2", "kernel.spv"], directory)
        return {}


class Amd(Target):
    """registers: of vectors; more: scalar ones. file, granule: registers of a SIMD for each lane, and what they are
    given out in; waves: most waves of a SIMD."""

    vendor = "AMD"

    def __init__(self, name, file, granule, waves, isa=None, **more):
        super().__init__(name, **more)
        self.file, self.granule, self.waves, self.isa = file, granule, waves, isa

    def missing(self):
        return super().missing() or ("" if AMD_LIBRARY.is_dir() else "rocm-device-libs")

    def version(self):
        return f"{super().version()}, rocm-device-libs {package_version('rocm-device-libs')}"

    def atomics_of(self, variant):
        return [form for form in self.atomics if form != 5 or variant["DATA_BITS"] != 64 or self.name == "gfx90a"]

    def library(self):
        if not self.isa:
            return [f"--rocm-device-lib-path={AMD_LIBRARY}"]
        # a device newer than the library: with the instructions of an older one's
        names = ["opencl", "ocml", "ockl", f"oclc_isa_version_{self.isa}", "oclc_abi_version_400",
                 "oclc_correctly_rounded_sqrt_off", "oclc_daz_opt_off", "oclc_finite_only_off", "oclc_unsafe_math_off",
                 "oclc_wavefrontsize64_off"]
        return ["-nogpulib"] + [word for name in names
                                for word in ("-Xclang", "-mlink-builtin-bitcode", "-Xclang", AMD_LIBRARY / f"{name}.bc")]

    def compile(self, source, options, directory):
        run([CLANG, "-x", "cl", *warnings(options), *options, "-target", "amdgcn-amd-amdhsa", f"-mcpu={self.name}", *self.library(),
             "-O3", "-S", "-o", "kernel.s", source], directory)
        text = (Path(directory) / "kernel.s").read_text()
        uses = {}
        for block in re.split(r"\n  - ", text[text.index("amdhsa.kernels:"):])[1:]:
            def number(name):
                found = re.search(rf"(?:^|\n +)\.{name}: +(\d+)", block)
                return int(found[1]) if found else 0
            name = re.search(r"\.symbol: +'?([\w.]+)\.kd", block)
            if not name:
                continue
            uses[name[1]] = Use(number("vgpr_count"), number("sgpr_count"),
                                number("vgpr_spill_count"),  # scalar ones are kept in lanes of vectors, not in memory
                                number("private_segment_fixed_size"), number("group_segment_fixed_size"))
        return uses

    def occupancy(self, use):
        given = max(-(-use.registers // self.granule), 1) * self.granule
        return min(self.waves, self.file // given) / self.waves


class Nvidia(Target):
    """PTX; and, where ptxas is there, machine code for `machine`."""

    vendor = "NVIDIA"

    def __init__(self, name, machine, **more):
        super().__init__(name, **more)
        self.machine, self.ptxas = machine, find_ptxas()

    def missing(self):
        return super().missing() or ("" if CLC.exists() else "libclc-15")

    def complete(self):
        return super().complete() and bool(self.ptxas)

    def version(self):
        text = f"{super().version()}, libclc {package_version('libclc-15')}"
        if self.ptxas:
            release = run([self.ptxas, "--version"], "/")
            text += ", ptxas " + re.search(r"V[\d.]+", release)[0]
        return text

    def atomics_of(self, variant):
        return self.atomics if variant["DATA_BITS"] != 64 else (4,)  # libclc lacks the others

    def compile(self, source, options, directory):
        run([CLANG, "-x", "cl", *warnings(options), *options, "-target", "nvptx64-unknown-nvidiacl", "-Xclang", "-target-cpu",
             "-Xclang", "sm_70", "-Xclang", "-cl-ext=+cl_khr_int64_base_atomics", "-Dasm=__asm__", *HEADER,
             "-Xclang", "-mlink-builtin-bitcode", "-Xclang", CLC, "-O3", "-S",
             "-o", "kernel.ptx", source], directory)
        uses = {}
        for name, body in re.findall(r"^\.visible \.entry (\w+)\((.*?)^}", (Path(directory) / "kernel.ptx").read_text(),
                                     re.DOTALL | re.MULTILINE):
            stack = re.search(r"\.local .*__local_depot\d+\[(\d+)\]", body)
            uses[name] = Use(scratch=int(stack[1]) if stack else 0)
        if self.ptxas:
            text = run([self.ptxas, "-v", f"-arch={self.machine}", "kernel.ptx", "-o", "kernel.cubin"], directory)
            if "warning" in text:
                raise Failed(text)
            for name, what in re.findall(r"Compiling entry function '(\w+)'(.*?)Used (?=\d)",
                                         text, re.DOTALL):
                use = uses[name]
                use.spills = sum(map(int, re.findall(r"(\d+) bytes spill", what)))
                use.scratch = int(re.search(r"(\d+) bytes stack frame", what)[1])
            for name, what in re.findall(r"Compiling entry function '(\w+)'.*?(Used \d+ registers[^\n]*)", text,
                                         re.DOTALL):
                local = re.search(r"(\d+) bytes smem", what)
                uses[name].registers = int(re.match(r"Used (\d+)", what)[1])
                uses[name].local = int(local[1]) if local else 0
        return uses

    def occupancy(self, use):
        if use.registers is None:
            return None
        warps = 65536 // (32 * -(-use.registers // 8) * 8)  # of 64, which share a multiprocessor's registers
        return min(64, warps) / 64


class Intel(Target):
    """registers: 128 for every thread; more: the work-items that share them."""

    vendor = "Intel"

    def missing(self):
        return "" if shutil.which("ocloc") else "intel-opencl-icd (ocloc)"

    def version(self):
        return f"ocloc {package_version('intel-opencl-icd')}, igc {package_version('libigc1')}"

    def compile(self, source, options, directory):
        text = run(["ocloc", "compile", "-file", source, "-device", self.name, "-out_dir", "out", "--format", "zebin",
                    "-options", " ".join([*options, f"-I {source.parent}", "-Werror"])], directory)
        if re.search(r"warning(?!: kernel \S+ +compiled SIMD)", text):  # spills are told of below
            raise Failed(text)
        binary = next((Path(directory) / "out").glob("*.bin")).read_bytes().decode("latin-1")
        info = binary[binary.index("\nkernels:"):]
        info = info[:info.index("\nkernels_misc_info:")] if "\nkernels_misc_info:" in info else info
        uses = {}
        for block in re.split(r"\n  - name: +", info)[1:]:
            def number(name):
                found = re.search(rf"\n +{name}: +(\d+)", block)
                return int(found[1]) if found else 0
            buffers = block.partition("per_thread_memory_buffers:")[2]
            scratch = sum(map(int, re.findall(r"\n +size: +(\d+)", buffers)))
            uses[block.split("\n")[0].strip()] = Use(number("grf_count"), number("simd_size"), number("spill_size"),
                                                     scratch, number("slm_size"))
        return uses


def find_targets():
    """Of each vendor's families of devices one. ocloc takes seconds where others take tenths of them."""
    return [
        Spirv("spirv", takes=ALL),
        Amd("gfx906", 256, 4, 10),  # GCN
        Amd("gfx90a", 512, 8, 8, atomics=(5, 1, 2), takes=ALL),  # CDNA
        Amd("gfx1030", 1024, 8, 16, takes=BASE),  # RDNA
        Amd("gfx1100", 1536, 24, 16, isa=1036, takes=BASE),
        Nvidia("sm_90", "sm_90", atomics=(4, 1, 2), takes=ALL),
        Intel("skl", takes=BASE),  # integrated
        Intel("acm-g10", atomics=(3, 1, 2), fp64=False),  # Arc
    ]
