"""The matrix of `transfer` as tables, and as one HTML page."""

from pathlib import Path

from components.reporting.charts import matrix_chart
from components.reporting.page import interval, percent, render
from pipelines.experiments.tables import Table, rate_text
from pipelines.experiments.transfer import Transfer

TEMPLATE = Path(__file__).with_name("transfer.html.j2")

RATES = {"accuracy": "Accuracy", "uar": "UAR", "macro_f1": "Macro F1"}

NOTES = (
    "Rows: trained on; columns: tested on. The mean over seeds, ± the standard deviation over seeds"
    " where there are several, and the 95 % interval by drawing conversations again.",
    "A corpus' own cell is of its folds, each left out in turn. The other cells of a row are of the"
    " models that left out its last fold; nothing was fitted to, or chosen on, the tested corpus.",
)


def transfer_tables(transfer: Transfer) -> list[Table]:
    """A table for each rate, and one of what the corpora are."""
    names = [corpus.name for corpus in transfer.corpora]
    tables = []
    for rate, title in RATES.items():
        rows = []
        for row in transfer.trained:
            cells = [rate_text(transfer.cells[row, column].numbers[rate]) for column in names]
            rows.append((row, *cells))
        notes = NOTES if rate == "accuracy" else ()
        tables.append(Table(f"{title}, %", ("trained on", *names), tuple(rows), notes))
    facts = transfer.about["corpora"]
    rows = [
        (
            name,
            str(facts[name]["recordings"]),
            str(facts[name]["utterances"]),
            ", ".join(facts[name]["labels"]),
            str(len(facts[name]["folds"])),
            "synthetic" if facts[name]["synthetic"] else "",
            "" if facts[name]["trained_on"] else "only tested on",
        )
        for name in names
    ]
    columns = ("corpus", "recordings", "utterances", "labels", "folds", "", " ")
    tables.append(Table("The corpora", columns, tuple(rows), ()))
    return tables


def transfer_page(transfer: Transfer) -> str:
    """Render the page: the picture, and the tables."""
    names = [corpus.name for corpus in transfer.corpora]
    cells = {}
    for (row, column), cell in transfer.cells.items():
        accuracy = cell.numbers["accuracy"]
        where = f"{row} on its own folds" if cell.own else f"{row} on {column}"
        title = f"{where}: {percent(accuracy['rate'])}, chance {percent(cell.chance)}"
        if accuracy["interval"]:
            title += f" [{interval(accuracy['interval'])}]"
        cells[row, column] = (accuracy["rate"] or 0.0, title)
    return render(
        TEMPLATE,
        about=transfer.about,
        tables=transfer_tables(transfer),
        chart=matrix_chart("accuracy, trained on and tested on", transfer.trained, names, cells),
    )
