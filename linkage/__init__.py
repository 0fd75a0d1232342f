"""Who is who: every source record linked to a person of the population register.

What belongs here: making names comparable, weighing pairs, deciding one link a record, and the ledger of
social identifiers. What does not: what a source delivers (`intake`) and what a person is then owed.

    standardise   names, dates and numbers in comparable forms
    model         which fields are compared, in which grades; the model file
    train         learning a model, without labels; a job of its own
    predict       scored pairs, by Splink on DuckDB
    resolve       at most one link a record, in bands
    ledger        identifiers for life
    explain       why a record is linked as it is
    evaluate      accuracy against truth; the only reader of truth
"""

from linkage.linking import LinkageSummary, SourceLinkage, link
from linkage.model import LinkageError

__all__ = ["LinkageError", "LinkageSummary", "SourceLinkage", "link"]
