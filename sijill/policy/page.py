"""Reports as one text, printed as Markdown or as a page of HTML that opens without a network.

A report is a list of blocks: headings, paragraphs, tables and charts. Both printings come from the same blocks, so they
cannot disagree. HTML escapes every text; nothing in it is loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 "Noto Sans", "Noto Sans Arabic", system-ui, sans-serif; color: #1c1c1c; background: #fff;
  max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: .6rem 0; font-size: 14px; }
caption { text-align: start; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e5e5e5; text-align: start; vertical-align: top; }
th { background: #f4f6f8; }
td.number, th.number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0; } figcaption { color: #555; font-size: 13px; }
svg { width: 100%; max-width: 720px; height: auto; }
svg text { font: 11px "Noto Sans", "Noto Sans Arabic", system-ui, sans-serif; fill: #333; }
p.note { color: #555; font-size: 13px; }
p.warning { border-inline-start: 4px solid #d55e00; padding: .3rem .8rem; background: #fff6ee; }
.scroll { overflow-x: auto; }
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Table:
    """A table; a column is numbers when every cell of it begins with a digit, a sign or a dash."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart as SVG, and the sentence beneath it."""

    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Text:
    """A heading of level 2 or 3, a paragraph, a note in small print or a warning."""

    words: str
    kind: str = "p"


@dataclass
class Page:
    """A report under construction: `heading`, `text`, `note`, `warning`, `table` and `chart` add to it in order."""

    title: str
    language: str = "en"
    blocks: list[Table | Chart | Text] = field(default_factory=list)

    def heading(self, words: str) -> None:
        """Begin a part."""
        self.blocks.append(Text(words, "h2"))

    def text(self, words: str) -> None:
        """Add a paragraph."""
        self.blocks.append(Text(words))

    def note(self, words: str) -> None:
        """Add a paragraph in small print."""
        self.blocks.append(Text(words, "note"))

    def warning(self, words: str) -> None:
        """Add a paragraph that must not be overlooked."""
        self.blocks.append(Text(words, "warning"))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
        """Add a table; without rows nothing is added."""
        if rows:
            self.blocks.append(Table(header, rows, caption))

    def chart(self, svg: str, caption: str = "") -> None:
        """Add a chart; it appears in HTML only."""
        self.blocks.append(Chart(svg, caption))

    def html(self) -> str:
        """The whole page."""
        direction = "rtl" if self.language == "ar" else "ltr"
        body = "\n".join(_html(block) for block in self.blocks)
        return (
            f'<!doctype html>\n<html lang="{self.language}" dir="{direction}">\n<head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><title>{escape(self.title)}</title>'
            f"<style>{_STYLE}</style></head>\n<body>\n<h1>{escape(self.title)}</h1>\n{body}\n</body>\n</html>\n"
        )

    def markdown(self) -> str:
        """The same as Markdown, without charts."""
        parts = [f"# {self.title}"]
        for block in self.blocks:
            if isinstance(block, Text):
                sign = {"h2": "## ", "warning": "> **Note.** "}.get(block.kind, "")
                parts.append(sign + block.words)
            elif isinstance(block, Table):
                if block.caption:
                    parts.append(f"**{block.caption}**")
                numeric = _numeric(block)
                rule = ["--:" if n else "---" for n in numeric]
                rows = [block.header, rule, *block.rows]
                parts.append("\n".join("| " + " | ".join(_cell(c) for c in row) + " |" for row in rows))
        return "\n\n".join(parts) + "\n"

    def write(self, html: Path, markdown: Path | None = None) -> None:
        """Write the page, and the same as Markdown."""
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(self.html(), encoding="utf-8")
        if markdown is not None:
            markdown.write_text(self.markdown(), encoding="utf-8")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _numeric(table: Table) -> list[bool]:
    return [
        all(not row[i] or row[i][0] in "0123456789-−–+" for row in table.rows)
        for i in range(len(table.header))
    ]


def _html(block: Table | Chart | Text) -> str:
    if isinstance(block, Text):
        if block.kind in ("note", "warning"):
            return f'<p class="{block.kind}">{escape(block.words)}</p>'
        return f"<{block.kind}>{escape(block.words)}</{block.kind}>"
    if isinstance(block, Chart):
        caption = f"<figcaption>{escape(block.caption)}</figcaption>" if block.caption else ""
        return f"<figure>{block.svg}{caption}</figure>"
    numeric = _numeric(block)

    def row(cells: Sequence[str], tag: str) -> str:
        made = (
            f"<{tag}{' class=number' if n else ''}>{escape(c)}</{tag}>"
            for c, n in zip(cells, numeric, strict=True)
        )
        return "<tr>" + "".join(made) + "</tr>"

    caption = f"<caption>{escape(block.caption)}</caption>" if block.caption else ""
    body = "".join(row(cells, "td") for cells in block.rows)
    head = row(block.header, "th")
    return f'<div class="scroll"><table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table></div>'
