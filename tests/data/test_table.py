"""Labels in CSV files, as people have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.pictures import picture
from tutelage.data import DataSettings, ImageData, open_data
from tutelage.data.sources.table_labels import labels_of
from tutelage.errors import TutelageError

NOTES = "ignore:.*(read the images|ignored|read val|read the splits|rows of|have no label)"
pytestmark = pytest.mark.filterwarnings(NOTES)
LABELS = ["cat", "dog"] * 6


def put(root: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed, 12, 10).save(root / name)


def table(labels: list[str], name: str = "{}.png", header: str = "file,label", mark: str = ",", end: str = "\n") -> str:
    return end.join([header.replace(",", mark), *(f"{name.format(i)}{mark}{label}" for i, label in enumerate(labels))])


def opened(path: Path, **values: object) -> ImageData:
    return open_data(DataSettings(name=str(path), **values))  # type: ignore[arg-type]


def found(data: ImageData) -> dict[str, str]:
    """The class of each training and validation image, by its file's name."""
    encoded = data.train.samples
    assert data.validation is not None
    rows = [*data.train.rows, *data.validation.rows] if data.validation.samples is encoded else list(data.train.rows)
    return {int(row): data.classes[encoded.labels[row]] for row in rows}  # type: ignore[misc]


@pytest.fixture
def folder(tmp_path: Path, cache: Path) -> Path:
    put(tmp_path / "set", *(f"images/{i}.png" for i in range(12)))
    return tmp_path / "set"


EXPECTED = dict(enumerate(LABELS))
FORMS = {
    "names below a folder": table(LABELS),
    "paths": table(LABELS, "images/{}.png"),
    "ids without suffix": table(LABELS, "{}", "id,label"),
    "semicolons": table(LABELS, mark=";"),
    "tabs, Windows line ends, a byte order mark": "\ufeff" + table(LABELS, mark="\t", end="\r\n"),
    "backslashes": table(LABELS, "images\\{}.png"),
    "quotes and spaces": table(LABELS, '"images/{}.png"', "file, label", ", "),
    "an index as pandas writes it": "\n".join([",path,class", *(f"{i},{i}.png,{c}" for i, c in enumerate(LABELS))]),
    "repeated rows": table(LABELS) + "\n3.png,dog\n",
    "numbers beside names": "\n".join(
        ["file,label,class_name", *(f"{i}.png,{int(c == 'dog')},{c}" for i, c in enumerate(LABELS))]
    ),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_tables_in_all_their_forms(folder: Path, text: str) -> None:
    (folder / "labels.csv").write_text(text, encoding="utf-8", newline="")
    data = opened(folder / "labels.csv")
    assert data.classes == ("cat", "dog") and found(data) == EXPECTED


def test_a_table_in_another_encoding_and_place(folder: Path, tmp_path: Path) -> None:
    text = table(LABELS, str(folder / "images" / "{}.png"))
    (tmp_path / "labels.csv").write_text(text, encoding="utf-16")
    assert found(opened(tmp_path / "labels.csv")) == EXPECTED
    (tmp_path / "labels.csv").write_bytes(text.replace("cat", "caté").encode("latin-1"))
    with pytest.raises(TutelageError, match="labels.csv is not UTF-8 text"):
        opened(tmp_path / "labels.csv")


def test_paths_with_commas_and_columns_named_by_settings(folder: Path) -> None:
    (folder / "images").rename(folder / "a, b")
    rows = [f'"a, b/{i}.png",{label},{i}' for i, label in enumerate(LABELS)]
    (folder / "labels.csv").write_text("\n".join(["where,what,other", *rows]))
    with pytest.raises(TutelageError, match="no column is named label; set data.label_column to one of what, other"):
        opened(folder / "labels.csv", image_column="where")
    assert found(opened(folder / "labels.csv", image_column="where", label_column="what")) == EXPECTED
    with pytest.raises(TutelageError, match="every image has its own label"):
        opened(folder / "labels.csv", image_column="where", label_column="other")
    with pytest.raises(TutelageError, match="data.label_column=kind: .* has no such column; it has where, what, other"):
        opened(folder / "labels.csv", image_column="where", label_column="kind")


def test_numbers_are_names_in_their_order_and_empty_labels_are_none(folder: Path) -> None:
    labels = ["10.0", "9.0"] * 5 + ["", "-1.0"]
    (folder / "labels.csv").write_text(table(labels))
    with pytest.warns(UserWarning, match="2 of 12 images have no label"):
        data = opened(folder / "labels.csv")
    assert data.classes == ("9", "10")
    assert data.train.samples.labels.tolist() == [1, 0] * 5 + [-1, -1]


WRONG = {
    "a missing image": (table([*LABELS, "cat"]), "line 14: there is no image '12.png'"),
    "two labels for one image": (table(LABELS) + "\nimages/3.png,cat", "lines 5 and 14: .* has two labels"),
    "numbers that differ in zeros": (
        table(["7", "007", "8"] * 4),
        "labels '007' and '7' differ only in case, spaces or zero",
    ),
    "a split that is none": (
        table([f"{c},{'train' if i < 8 else 'holdout'}" for i, c in enumerate(LABELS)], header="file,label,split"),
        "line 10: 'holdout' in the column 'split' is not a split",
    ),
    "a row without a split": (
        table([f"{c},{'train' if i < 8 else ''}" for i, c in enumerate(LABELS)], header="file,label,split"),
        "line 10: '' in the column 'split' is not a split",
    ),
    "labels that differ in an invisible character": (table([*LABELS[:-1], "dog\u200b"]), "labels 'dog' and 'dog"),
    "a flag that is neither yes nor no": (
        table([f"{c},{'maybe' if i == 3 else 0}" for i, c in enumerate(LABELS)], header="file,label,is_test"),
        "line 5: 'maybe' in the column 'is_test' is neither yes nor no",
    ),
    "labels that differ in case": (table([*LABELS[:-1], "Dog"]), "labels 'Dog' and 'dog' differ only in case"),
    "no header": ("\n".join(table(LABELS).split("\n")[1:]), "line 1 contains an image, not column names"),
    "no header and no suffix": ("\n".join(table(LABELS, "{}").split("\n")[1:]), "line 1 contains an image"),
    "a row of another length": (table(LABELS) + "\n1.png,cat,dog", "line 14: 3 values for 2 columns"),
    "two columns alike": (table(LABELS, header="file,file"), "several columns 'file'"),
    "a header alone": ("file,label\n", "has no rows"),
    "nothing": ("", "has no rows"),
    "an open quote": (table(LABELS) + '\n"1.png,cat', "line 14: not readable as CSV"),
    "no images": (table(LABELS, "x{}", "a,label"), "no column contains names of existing images"),
    "labels twice": (
        table([f"{c},{i % 3}" for i, c in enumerate(LABELS)], header="file,label,class"),
        "several columns",
    ),
}


@pytest.mark.parametrize("text, message", WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_a_table_is_said_with_its_line(folder: Path, text: str, message: str) -> None:
    (folder / "labels.csv").write_text(text)
    with pytest.raises(TutelageError, match=message):
        opened(folder / "labels.csv")


def test_missing_images_are_left_out_if_asked_for(folder: Path) -> None:
    (folder / "labels.csv").write_text(table([*LABELS, "cat"]))
    with pytest.warns(UserWarning, match="skipped 1 rows without an image"):
        assert found(opened(folder / "labels.csv", skip_broken=True)) == EXPECTED


def test_names_that_occur_twice_belong_to_the_split_of_the_table_or_are_ambiguous(folder: Path) -> None:
    (folder / "images").rename(folder / "train_images")
    put(folder, *(f"test_images/{i}.png" for i in range(12)))
    (folder / "train.csv").write_text(table(LABELS))
    (folder / "test.csv").write_text("file\n0.png")
    data = opened(folder / "train.csv")
    assert found(data) == EXPECTED and data.test is None
    assert all("train_images" in str(place) for place in data.held_out)
    (folder / "train.csv").rename(folder / "labels.csv")
    with pytest.raises(TutelageError, match="line 2: '0.png' may be .*test_images.* or .*train_images"):
        opened(folder / "labels.csv")


@pytest.mark.parametrize("how", ["column", "tables", "folders"])
def test_splits_of_a_table(folder: Path, how: str) -> None:
    splits = ["train"] * 8 + ["VALID"] * 4
    if how == "column":
        (folder / "labels.csv").write_text(
            table([f"{c},{s}" for c, s in zip(LABELS, splits)], header="file,label,Split")
        )
        data = opened(folder / "labels.csv")
    elif how == "tables":
        (folder / "train.csv").write_text(table(LABELS[:8]))
        rows = [f"{i}.png,{LABELS[i]}" for i in range(8, 12)]
        (folder / "val.csv").write_text("\n".join(["file,label", *rows]))
        data = opened(folder / "train.csv")
    else:
        for i, split in enumerate(splits):
            put(folder, f"{split}/{i}.png")
        rows = [f"{s}/{i}.png,{c}" for i, (c, s) in enumerate(zip(LABELS, splits))]
        (folder / "labels.csv").write_text("\n".join(["file,label", *rows]))
        data = opened(folder / "labels.csv")
    assert data.validation is not None and (len(data.train), len(data.validation)) == (8, 4)
    assert data.validation.labels.tolist() == [0, 1] * 2


@pytest.mark.parametrize("split", ["train/", ""])
def test_metadata_as_in_imagefolder(folder: Path, split: str) -> None:
    (folder / "images").rename(folder / "train")
    (folder / split / "metadata.csv").write_text(
        table(LABELS, ("" if split else "train/") + "{}.png", "file_name,label")
    )
    data = opened(folder)
    assert found(data) == EXPECTED
    put(folder, "train/more.png")
    with pytest.warns(UserWarning, match="ignored 1 images that no metadata.csv lists"):
        opened(folder)


def test_a_table_that_is_not_read_is_mentioned(folder: Path) -> None:
    (folder / "train.csv").write_text(table(LABELS))
    with pytest.warns(UserWarning, match="ignored train.csv; .*set data=.*train.csv"):
        opened(folder)


@pytest.mark.parametrize("missing", ["nan", "NaN", "<NA>", ""])
@pytest.mark.parametrize("labels", [("cat", "dog"), ("1.0", "2.00")], ids=["names", "numbers"])
def test_what_pandas_writes_for_a_missing_label_is_not_a_class(
    folder: Path, labels: tuple[str, str], missing: str
) -> None:
    (folder / "labels.csv").write_text(table([*labels, missing] * 4))
    with pytest.warns(UserWarning, match="4 of 12 images have no label"):
        data = opened(folder / "labels.csv")
    assert data.classes == (("cat", "dog") if labels[0] == "cat" else ("1", "2"))


def test_a_class_that_may_be_a_missing_label_is_mentioned(folder: Path) -> None:
    (folder / "labels.csv").write_text(table(["cat", "dog", "NA"] * 4))
    with pytest.warns(UserWarning, match="'NA' is read as a class; to mark unlabelled images, use empty labels"):
        assert opened(folder / "labels.csv").classes == ("NA", "cat", "dog")


SPLITS = {
    "is_valid": ("False", "True"),
    "is_train": ("1", "0"),
    "is_test": ("N", "y"),
    "test": ("0.0", "1.0"),
    "Usage": ("Training", "Testing"),
    "what for": ("train", "val"),
}


@pytest.mark.parametrize("column, cells", SPLITS.items(), ids=SPLITS)
def test_splits_by_columns(folder: Path, column: str, cells: tuple[str, str]) -> None:
    rows = [f"{label},{cells[i >= 8]}" for i, label in enumerate(LABELS)]
    (folder / "labels.csv").write_text(table(rows, header=f"file,label,{column}"))
    with pytest.warns(UserWarning, match=f"read the splits of labels.csv from '{column}'"):
        data = opened(folder / "labels.csv", validation=0.25)
    held_out = data.validation if column in ("is_valid", "what for") else data.test
    assert held_out is not None and len(held_out) == 4


@pytest.mark.parametrize("column", ["fold", "partition"])
def test_numbered_splits_are_not_used_but_mentioned(folder: Path, column: str) -> None:
    (folder / "labels.csv").write_text(
        table([f"{c},{i % 5}" for i, c in enumerate(LABELS)], header=f"file,label,{column}")
    )
    with pytest.warns(UserWarning, match=f"ignored the column '{column}' of labels.csv, whose values .0, 1, 2, …. are"):
        opened(folder / "labels.csv")
    assert found(opened(folder / "labels.csv")) == EXPECTED


def test_a_training_row_does_not_take_an_image_of_the_test_split(folder: Path) -> None:
    (folder / "images").rename(folder / "train")
    put(folder, "test/12.png")
    (folder / "train.csv").write_text(table([*LABELS, "cat"]))
    with pytest.raises(TutelageError, match="line 14: there is no image '12.png'"):
        opened(folder / "train.csv")


def test_other_splits_may_take_their_images_from_the_folder_train(folder: Path) -> None:
    (folder / "images").rename(folder / "train")
    (folder / "train.csv").write_text("\n".join(table(LABELS).split("\n")[:9]))
    (folder / "val.csv").write_text("\n".join(["file,label", *table(LABELS).split("\n")[9:]]))
    data = opened(folder / "train.csv")
    assert len(data.train) == 8 and data.validation is not None and len(data.validation) == 4


def test_the_column_of_splits_tells_images_of_one_name_apart(folder: Path) -> None:
    (folder / "images").rename(folder / "train")
    put(folder, "test/0.png", "test/1.png")
    rows = [f"{i}.png,{label},train" for i, label in enumerate(LABELS)] + ["0.png,dog,test", "1.png,cat,test"]
    (folder / "labels.csv").write_text("\n".join(["file,label,split", *rows]))
    data = opened(folder / "labels.csv")
    assert data.test is not None and data.test.labels.tolist() == [1, 0]


def test_accents_match_however_they_are_spelled(folder: Path) -> None:
    (folder / "images").rename(folder / "cafe\u0301")
    for i in range(12):
        (folder / "cafe\u0301" / f"{i}.png").rename(folder / "cafe\u0301" / f"e\u0301{i}.png")
    (folder / "labels.csv").write_text(table(LABELS, "caf\u00e9/\u00e9{}.png"), encoding="utf-8")
    assert found(opened(folder / "labels.csv")) == EXPECTED


def test_images_beside_those_of_the_table_are_counted(folder: Path) -> None:
    (folder / "labels.csv").write_text(table(LABELS[:8]))
    with pytest.warns(UserWarning, match="ignored 4 images that are in the same folders"):
        opened(folder / "labels.csv")


def test_a_split_whose_metadata_lack_the_labels_is_an_error(folder: Path) -> None:
    (folder / "images").rename(folder / "train")
    put(folder, "test/0.png")
    (folder / "train" / "metadata.csv").write_text(table(LABELS, header="file_name,label"))
    (folder / "test" / "metadata.csv").write_text("file_name,text\n0.png,hello")
    with pytest.raises(TutelageError, match="data.label_column=label: .*test/metadata.csv has no such column; it has"):
        opened(folder)


def test_long_texts_in_other_columns_are_not_paths(folder: Path) -> None:
    (folder / "labels.csv").write_text(
        table([f"{label},{'a photo of ' * 500}" for label in LABELS], header="file,label,caption")
    )
    assert found(opened(folder / "labels.csv")) == EXPECTED


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["3.0", "nan", "12.0"], ["3", "", "12"]),
        (["-1.0", "2.0", ""], ["", "2", ""]),
        (["1.5", "2.0", "<NA>"], ["1.5", "2.0", ""]),
        (["cat", "NaN", "2.0"], ["cat", "", "2.0"]),
    ],
)
def test_labels_of_cells(cells: list[str], labels: list[str]) -> None:
    assert labels_of(cells) == labels
