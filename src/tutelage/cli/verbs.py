"""The verbs of the command line, from which ``--help`` and the table in README are generated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """One verb of the command line."""

    summary: str
    function: str
    """The function to run, as ``module:function`` in :mod:`tutelage.cli`."""
    example: str
    details: str = ""
    names: tuple[str, ...] = ()
    """Names of the arguments before the settings; a name that ends with ``...`` stands for one or more."""
    defaults: bool = False
    """Whether it runs without arguments."""
    page: str = ""
    """The guide, relative to ``docs/``."""

    @property
    def usage(self) -> str:
        if self.defaults:
            return "[KEY=VALUE]..."
        return " ".join([*self.names, "[KEY=VALUE]..."]) if self.names else "KEY=VALUE..."

    @property
    def help(self) -> str:
        return "\n\n".join([self.summary, f"\b\n{self.example}", *([self.details] if self.details else [])])


VERBS = {
    "train": Verb(
        "Train one network on labels, for example a teacher.",
        "train:train",
        """\
tutelage train data=~/flowers model=timm/resnet34 model.weights=pretrained \\
    epochs=10 optimizer.lr=0.0001 out=runs/teacher""",
        "data is a name (tutelage list datasets), or a folder with one folder of images per class.",
    ),
    "distill": Verb(
        "Train a student to match a teacher.",
        "train:distill",
        """\
tutelage distill data=~/flowers teacher=runs/teacher student=resnet8 \\
    method=kd+at kd.temperature=2 epochs=60 out=runs/student
tutelage distill data=~/flowers teacher=timm/resnet50.a1_in1k \\
    teacher.finetune=head student=timm/resnet18 method=kd+at""",
        "The teacher is a run (tutelage train), or a pretrained network that is fine-tuned first, as in the second "
        "example. tutelage list settings shows every setting with its default, tutelage list methods the methods, and "
        "tutelage inspect MODEL the taps of a network.",
        page="methods.md",
    ),
    "run": Verb(
        "Run a published experiment and compare the results.",
        "recipe:run_recipe",
        """\
tutelage run baseline/cifar10-resnet110
tutelage run at/cifar10-resnet110-resnet20 seed=1 out=runs/at-1""",
        "tutelage list recipes shows the recipes. The run is written to runs/RECIPE. A recipe's teacher is the run of "
        "another recipe.",
        names=("RECIPE",),
        page="recipes.md",
    ),
    "resume": Verb(
        "Resume an interrupted run from its last checkpoint.",
        "train:resume",
        """\
tutelage resume runs/student
tutelage resume runs/student data=/new/place/of/flowers
tutelage resume runs/student network=networks.mine:small""",
        "Set data=... if the data moved, and network=package.module:function (several in brackets) for networks of "
        "your own.",
        names=("RUN",),
    ),
    "replay": Verb(
        "Repeat the step at which a run became non-finite.",
        "train:replay",
        "tutelage replay runs/student",
        "Prints the first layer whose output or gradient is not finite. The images of that step are listed in "
        "RUN/failure.json. Set network=package.module:function for networks of your own.",
        names=("RUN",),
    ),
    "evaluate": Verb(
        "Measure the accuracy of a run, or of any network.",
        "models:evaluate",
        """\
tutelage evaluate model=runs/student split=validation
tutelage evaluate model=timm/resnet18 model.weights=pretrained data=~/imagenet""",
        "Keys: model, data, split (test, validation or train), batch_size, precision, device, network. A run is "
        "measured on its own data unless data=... is set.",
    ),
    "inspect": Verb(
        "List the taps of a network: points to read features at.",
        "models:inspect",
        "tutelage inspect timm/resnet18 size=64",
        "Prints the name, shape, operation and level of each tap, and whether it is before or after an activation. "
        "Set size=PIXELS for the side of the input.",
        names=("MODEL",),
    ),
    "bench": Verb(
        "Measure how fast a distillation trains.",
        "train:bench",
        """\
tutelage bench data=~/flowers teacher=runs/teacher student=resnet8 \\
    method=kd batch_size=64""",
        "Takes the settings of tutelage distill, and turns=5 and steps=10. Reports the throughput beside that of the "
        "networks alone on a batch in memory, the peak memory, and where the time goes.",
        page="performance.md",
    ),
    "cache": Verb(
        "Compute and store the teacher outputs of a distillation.",
        "train:cache",
        """\
tutelage cache data=~/flowers teacher=runs/teacher student=resnet8 \\
    method=kd epochs=60 cache.views=20""",
        "Takes the settings of tutelage distill, which then reads the stored outputs, with any seed. This step is "
        "optional: a run with cache.views stores what it computes. An interrupted call resumes.",
        page="caching.md",
    ),
    "study": Verb(
        "Compare methods or other settings over several seeds.",
        "study:study",
        """\
tutelage study data=~/flowers teacher=runs/teacher student=resnet8 epochs=60 \\
    grid.method=[none,kd,at,kd+at] seeds=5 workers=2 out=runs/study
tutelage study ... budget=30m out=runs/choice
tutelage study ... method=kd+at trials=20 out=runs/search \\
    "space.at.weight={low: 10, high: 10000, log: true}\"""",
        "Takes the settings of tutelage distill, and grid.KEY=[...] for each key that varies. Run the same command "
        "again to resume: finished runs are kept. budget=TIME chooses a method and its weight by successive halving, "
        "and space.KEY=... searches settings. Both choose on validation data, never on test, and write best.yaml.",
        page="studies.md",
    ),
    "report": Verb(
        "Write one HTML page about a run, several runs or a study.",
        "study:report",
        """\
tutelage report runs/kd-0
tutelage report runs/none-* runs/kd-* out=report.html figures=figures""",
        "Runs that differ only in their seed are grouped, and method=none is the student alone. Keys: out=FILE.html, "
        "figures=FOLDER, overwrite=true, data=FOLDER.",
        names=("RUN...",),
        page="reports.md",
    ),
    "export": Verb(
        "Export the student of a run to other runtimes.",
        "export:export",
        """\
tutelage export runs/student format=onnx
tutelage export runs/student format=[onnx,int8,executorch] out=phone
tutelage export runs/student format=safetensors push=USER/NAME""",
        "Formats: safetensors (timm's layout), onnx, int8 (ONNX, quantized on training images), executorch (phones), "
        "torch_export. Each file is opened in its runtime and compared with PyTorch on real images. Keys: out, "
        "overwrite, images=N to compare on, calibration=512, preprocessing=false, data, push, private.",
        names=("RUN",),
        page="deploy.md",
    ),
    "predict": Verb(
        "Classify images with a run or an exported file.",
        "models:predict",
        """\
tutelage predict runs/student photo.jpg holiday/ top=3
tutelage predict runs/student/export/model.onnx photo.jpg --json""",
        "Prints the most probable classes of each image, five by default (top=5). A folder stands for the images in "
        "it. Set network=package.module:function for networks of your own.",
        names=("RUN", "IMAGE..."),
        page="deploy.md",
    ),
    "compare": Verb(
        "Compare the size, speed and accuracy of models.",
        "models:compare",
        """\
tutelage compare runs/teacher runs/alone runs/student
tutelage compare runs/student runs/student/export/model-int8.onnx --json""",
        "A model is a run, a model folder or an exported file. Accuracy is measured on the same images for all: those "
        "of the first run, or of data=.... Set out=FILE.json to keep the results.",
        names=("RUN...",),
        page="deploy.md",
    ),
    "list": Verb(
        "List models, methods, datasets, recipes or settings.",
        "listing:show_list",
        """\
tutelage list methods
tutelage list settings""",
        "KIND is models, methods, datasets, recipes or settings. Settings are listed with their defaults.",
        names=("KIND",),
    ),
    "quickstart": Verb(
        "Try distillation on built-in data; takes two minutes.",
        "study:quickstart",
        "tutelage quickstart out=runs/quickstart seeds=5",
        "Trains a teacher, a student alone, and students with the teacher. Nothing is downloaded. Keys: out=FOLDER, "
        "seeds=NUMBER, epochs=NUMBER.",
        defaults=True,
        page="quickstart.md",
    ),
    "data": Verb(
        "Resize images once and write them to tar shards.",
        "data:pack",
        "tutelage data pack data=~/imagenet out=~/imagenet-256 size=256 workers=8",
        "The shorter side is reduced to size pixels and saved as JPEG; smaller images keep their bytes. All splits are "
        "written, each shuffled. Train with data=~/imagenet-256; other readers of the WebDataset layout can read it "
        "too. Keys: size, quality, shard_mb, workers, seed, overwrite, data.skip_broken.",
        names=("pack",),
        page="large-data.md",
    ),
}


def verbs_table() -> str:
    """Return the table of verbs in README, as Markdown."""
    rows = ["| verb | what it does |", "|---|---|"]
    for name, verb in VERBS.items():
        guide = f" See [docs/{verb.page}](docs/{verb.page})." if verb.page else ""
        rows.append(f"| `{' '.join([name, *verb.names])}` | {verb.summary}{guide} |")
    return "\n".join(rows)
