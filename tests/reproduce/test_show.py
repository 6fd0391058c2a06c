"""Rows and pages: means, ranges and changes are those of the values; what was not published stays empty."""

from namesake.evaluation.benchmarks import BENCHMARKS
from namesake.reproduce.papers import PAPERS, TITLES
from namesake.reproduce.record import number, page_of
from namesake.reproduce.show import markdown, rows_of
from namesake.reproduce.table import Outcome, Setting, Table
from namesake.systems import SYSTEMS, configure

TABLE = Table(
    "Cats and dogs",
    (
        Setting("plain", "namedmask", published={"mIoU": 50.0}),
        Setting("better", "namedmask", published={"mIoU": 52.5}),
        Setting("quoted", published={"mIoU": 10.0}),
    ),
    lambda _: {},
)
MEASURED = {
    "plain": Outcome({"mIoU": [20.0, 22.0]}, "name-only", "S"),
    "better": Outcome({"mIoU": [25.0, 24.0]}, "name-only", "M"),
}


def test_rows__means_ranges_and_changes() -> None:
    plain, better, quoted = rows_of(TABLE, MEASURED)
    assert plain["ours"]["mIoU"] == {"mean": 21.0, "spread": 2.0, "seeds": 2}
    assert better["change"] == {"mIoU": 3.5}
    assert better["published_change"] == {"mIoU": 2.5}
    assert quoted["ours"] == {}


def test_markdown__a_line_a_setting() -> None:
    page = markdown("Table 1: Cats", TABLE, MEASURED, command="namesake reproduce cats --table 1")
    assert "| better | name-only, M | 24.5 ± 1.0 (+3.5) | 52.5 (+2.5) |" in page
    assert "| quoted |  |  | 10.0 (-40.0) |" in page
    assert "`namesake reproduce cats --table 1`" in page
    assert "of 2 seeds; in brackets" in page
    days = {"plain": "2026-11-30", "better": "2026-11-29"}
    dated = {label: outcome._replace(measured=days[label]) for label, outcome in MEASURED.items()}
    assert "of 2 seeds, measured 2026-11-29; in brackets" in markdown("Table 1", TABLE, dated, command="")


def test_markdown__counts_and_data_sets() -> None:
    table = Table("Data", (Setting("plain", "namedmask", trained_on="ImageNet"),), lambda _: {}, counts=True)
    page = markdown(
        "Table 4", table, {"plain": Outcome({"images": [1500, 1500]}, data_sets=["renders (dino)"])}, command=""
    )
    assert "| setting | regime, tier | images, ours | data, ours | data, published |" in page
    assert "| plain |  | 1,500 | renders (dino) | ImageNet |" in page


def test_markdown__a_column_for_each_real_data_set() -> None:
    table = Table(
        "Sets", (Setting("plain", "fmbseg", published={"A": 1.0, "B": 2.0}),), lambda _: {},
        columns=("mIoU", "mIoU things"), benchmarks={"A": "voc2012", "B": "ade20k"},
    )  # fmt: skip
    page = markdown("Table 1", table, {"plain": Outcome({"A": [20.0], "B": [30.0]})}, command="", real=True)
    assert "| A, ours | B, ours | A, published | B, published |" in page
    assert "| plain |  | 20.0 | 30.0 | 1.0 | 2.0 |" in page
    rendered = markdown("Table 1", table, {"plain": Outcome({"mIoU": [20.0]})}, command="")
    assert "| mIoU, ours | mIoU things, ours |" in rendered


def test_fmbseg__shares_of_stage_1_2_lie_under_stage_1_1_whatever_the_preset_takes() -> None:
    rows = PAPERS["fmbseg"]["appendix-2"].settings
    taken = {row.label: configure("fmbseg", preset="mini", config=row.config).alignment.label_sources for row in rows}
    assert taken == {"75 %": "both", "0 %": "prompted", "33 %": "both", "100 %": "both"}


def test_papers__every_table_is_there() -> None:
    figures = {"figure-3", "supplementary-1", "supplementary-figure-2"}
    assert PAPERS["namedmask"].keys() >= {*map(str, range(1, 10)), *figures}
    assert PAPERS["zutis"].keys() >= {*map(str, range(1, 8)), "figure-3"}
    assert PAPERS["fmbseg"].keys() >= {*map(str, range(1, 5)), "appendix-2"}


def test_page__in_the_order_of_the_paper() -> None:
    values = {setting.label: {"values": {"all": [1.0]}} for setting in PAPERS["namedmask"]["3"].settings}
    other = {setting.label: {"values": {"mIoU": [1.0]}} for setting in PAPERS["namedmask"]["figure-3"].settings}
    page = page_of("namedmask", {"figure-3": other, "3": values})
    assert page.index("## Table 3: ") < page.index("## Figure 3: ")


def test_page__values_that_json_has_no_word_for() -> None:
    values = {"NamedMask": {"values": {"all": [31.0, 33.0], "single obj.": [None, None]}, "regime": "name-only"}}
    row = next(line for line in page_of("namedmask", {"3": values}).splitlines() if line.startswith("| NamedMask |"))
    assert "32.0 ± 2.0" in row
    assert "nan" not in row


def test_papers__settings_are_valid_configurations() -> None:
    assert PAPERS.keys() == TITLES.keys()
    for tables in PAPERS.values():
        for table in tables.values():
            labels = [setting.label for setting in table.settings]
            assert len(set(labels)) == len(labels)
            for setting in table.settings:
                if setting.system in SYSTEMS:
                    configure(setting.system, preset="paper", config=setting.config)
                    mini = setting.config if setting.mini is None else setting.mini
                    configure(setting.system, preset="mini", config=mini)


def test_number__of_every_kind_of_key() -> None:
    assert [number(key) for key in ("3", "figure-3", "supplementary-1", "supplementary-figure-2", "remedies")] == [
        "Table 3",
        "Figure 3",
        "Supplementary table 1",
        "Supplementary figure 2",
        "Remedies",
    ]


def test_benchmarks__are_known() -> None:
    for tables in PAPERS.values():
        for table in tables.values():
            assert set(table.benchmarks.values()) <= BENCHMARKS.keys()
