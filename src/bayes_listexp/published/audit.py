"""Whether a published table of a list experiment is consistent with itself.

Interval arithmetic on the printed numbers (each stands for its value plus or minus half a unit in the last
place), and, where respondents fall into arms by chance, the range that chance allows.
"""

from collections.abc import Iterable

from bayes_listexp.published.answers import Claim
from bayes_listexp.published.audit_groups import copied_rows, group_totals, share_sums
from bayes_listexp.published.audit_sizes import given_arm_sizes, granularity
from bayes_listexp.published.findings import EPSILON, Finding, failed, in_order, passed, percent, points, rows_text
from bayes_listexp.published.list_moments import usual_difference_se
from bayes_listexp.published.printed import Printed
from bayes_listexp.published.row import difference_interval, expected_sizes, support_gap
from bayes_listexp.published.table import PublishedTable

CROWDED = 0.10  # share of respondents who must be at a limit of the list before the audit warns


def audit(table: PublishedTable, *, claims: Iterable[Claim] = ()) -> tuple[Finding, ...]:
    """Check a published table against itself; failures come first, then what passed.

    Checks: printed support against the printed means; means no list of J items can produce; support outside
    0-1; copied rows; group shares; groups weighted by share against the total; room at floor and ceiling;
    arm sizes; granularity (GRIM; Brown & Heathers 2017); `claims` of the text against the table.
    """
    findings = [
        *support_from_means(table),
        *means_in_range(table),
        *support_in_range(table),
        *copied_rows(table),
        *share_sums(table),
        *group_totals(table),
        *room_in_list(table),
        *given_arm_sizes(table),
        *granularity(table),
        *(claimed_support(table, claim) for claim in claims),
    ]
    if table.unread:
        findings.append(passed("columns", (), f"Columns not used: {', '.join(table.unread)}."))
    return in_order(findings)


def support_from_means(table: PublishedTable) -> list[Finding]:
    """Printed supports that the printed means cannot give."""
    check = "support from means"
    found = []
    for row in table.rows:
        gap = support_gap(row)
        if gap and row.support:
            difference = difference_interval(row)
            text = (
                f"{row.name}: printed support {percent(row.support.value)}, but the printed means "
                f"{row.mean_treatment.text} - {row.mean_control.text} give {percent(difference.value)} "
                f"({percent(difference.lower)} to {percent(difference.upper)} with rounding): "
                f"{points(gap)} apart beyond rounding."
            )
            found.append(failed(check, "contradiction", [row.name], gap, text))
    agree = [row.name for row in table.rows if row.support and not support_gap(row)]
    if agree:
        found.append(
            passed(
                check,
                agree,
                f"{rows_text(agree)}: the printed support agrees with the means within rounding.",
            )
        )
    silent = [row.name for row in table.rows if row.support is None]
    if silent:
        found.append(passed(check, silent, f"Not checked: {rows_text(silent)} without a printed support."))
    return found


def means_in_range(table: PublishedTable) -> list[Finding]:
    """Means outside 0..J (control) or 0..J+1 (treatment)."""
    check = "possible means"
    found = []
    for row in table.rows:
        for arm, mean, most in (
            ("control", row.mean_control, table.J),
            ("treatment", row.mean_treatment, table.J + 1),
        ):
            beyond = max(mean.lower - most, -mean.upper)
            if beyond > EPSILON:
                text = (
                    f"{row.name}: the {arm} mean {mean.text} is {beyond:.3g} items outside 0 to {most}, "
                    f"which is all that a list of {table.J} control items allows."
                )
                found.append(failed(check, "contradiction", [row.name], beyond, text))
    wrong = {finding.rows[0] for finding in found}
    fine = [row.name for row in table.rows if row.name not in wrong]
    if fine:
        text = f"{rows_text(fine)}: means within 0 to {table.J} (control) and 0 to {table.J + 1} (treatment)."
        found.append(passed(check, fine, text))
    return found


def support_in_range(table: PublishedTable) -> list[Finding]:
    """Printed supports, or differences of the printed means, outside 0-1."""
    check = "support within 0-1"
    found = []
    for row in table.rows:
        difference = difference_interval(row)
        size, what, value = max(
            (_outside(row.support), "printed support", row.support) if row.support else (0.0, "", difference),
            (_outside(difference), "difference of the printed means", difference),
            key=lambda item: item[0],
        )
        if size:
            se = usual_difference_se(row.mean_control.value, difference.value, table.J, expected_sizes(row, table.N))
            text = (
                f"{row.name}: the {what}, {percent(value.value)}, is no share: {points(size)} outside "
                "0-100 %; "
                f"its standard error is about {points(se)}."
            )
            found.append(failed(check, "contradiction" if size > 4 * se else "warning", [row.name], size, text))
    wrong = {finding.rows[0] for finding in found}
    fine = [row.name for row in table.rows if row.name not in wrong]
    if fine:
        found.append(passed(check, fine, f"{rows_text(fine)}: support and difference of means within 0-100 %."))
    return found


def _outside(number: Printed) -> float:
    beyond = max(number.lower - 1, -number.upper)
    return beyond if beyond > EPSILON else 0.0


def room_in_list(table: PublishedTable) -> list[Finding]:
    """What the control means imply about respondents at the floor (0) and the ceiling (J) of the list.

    A mean m of counts in 0..J needs at least m - (J - 1) of the respondents at J and allows at most m / J;
    the same from below for 0. Those at J cannot deny, those at 0 cannot admit, the sensitive item unseen.
    """
    check = "floor and ceiling"
    J = table.J
    found = []
    for row in table.rows:
        mean = row.mean_control.value
        for limit, closeness in ((f"all {J} control items", mean - (J - 1)), ("no control item", 1 - mean)):
            if closeness > CROWDED:
                most = mean / J if limit.startswith("all") else 1 - mean / J
                text = (
                    f"{row.name}: with a control mean of {row.mean_control.text}, at least "
                    f"{percent(closeness)} and "
                    f"at most {percent(most)} answered {limit}: the list leaves them little cover."
                )
                found.append(failed(check, "warning", [row.name], closeness, text))
    highest = max(table.rows, key=lambda row: row.mean_control.value)
    lowest = min(table.rows, key=lambda row: row.mean_control.value)
    wrong = {finding.rows[0] for finding in found}
    fine = [row.name for row in table.rows if row.name not in wrong]
    if fine:
        text = (
            f"At the highest control mean ({highest.mean_control.text}, {highest.name}) "
            f"{_share_at_limit(highest.mean_control.value / J, J)} answered all {J} items; at the lowest "
            f"({lowest.mean_control.text}, {lowest.name}) "
            f"{_share_at_limit(1 - lowest.mean_control.value / J, J)} "
            "answered none."
        )
        found.append(passed(check, fine, text))
    return found


def _share_at_limit(nearness: float, J: int) -> str:
    inside = min(max(nearness, 0.0), 1.0)
    least = max(0.0, inside * J - (J - 1))
    usual = percent(inside**J, 0)
    return f"{percent(least, 0)} to {percent(inside, 0)} (about {usual} with equal, independent items)"


def claimed_support(table: PublishedTable, claim: Claim) -> Finding:
    """Whether what the text says about one row agrees with its printed support (or the difference of its
    means).
    """
    name = claim.rows[0]
    row = next((row for row in table.rows if (row.name,) == claim.rows), None)
    if row is None:
        return failed("text against table", "warning", claim.rows, 0.0, f"The text's {name!r} is no row of the table.")
    printed = row.support or difference_interval(row)
    gap = abs(printed.value - claim.share.value) - printed.half_unit - claim.share.half_unit
    if gap <= EPSILON:
        return passed("text against table", claim.rows, f"{name}: the text's {claim.share.text} agrees with the table.")
    text = (
        f"{name}: the text says {claim.share.text}, the table {percent(printed.value)}: {points(gap)} apart beyond rounding."
    )
    return failed("text against table", "contradiction", claim.rows, gap, text)
