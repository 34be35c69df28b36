"""The reference of the public names, one page a group; a name that no group lists still appears, on the last page."""

from importlib import import_module

import bayes_listexp

GROUPS = {
    "Data": (
        "Files and tables in, a study out.",
        "ListExperiment read_survey read_population read_regions recode scan_survey tabulate binned InputError",
    ),
    "Populations": (
        "Whom a prevalence is about, and how the sample compares.",
        "PopulationFrame frame_from_survey frames_by_wave rake with_predictors frame_against_sample cells_outside_frame kish",
    ),
    "Published tables": (
        "What can be said with nothing but a printed table.",
        "read_published PublishedSupport audit printed_differences fit_published support_table published_change "
        "design_based_change published_margins gallery",
    ),
    "Without a model": (
        "Estimates by design, and quick estimators of the list regression.",
        "difference_in_means change_in_means poststratified_means poststratified_change subgroup_means adjusted_difference "
        "linear_regression double_list combined_estimate placebo_tests refusal_bounds lying_bounds estimates_without_model "
        "maximum_likelihood nonlinear_least_squares specification_test quick_estimates prevalence_of_tables change_of_tables",
    ),
    "Checks": (
        "Of the design and data before a model, and of the fit after it.",
        "design_checks fit_checks no_design_effect_test no_design_effect_bayes_factor type_shares",
    ),
    "Models": (
        "What is assumed, how the trait is observed beside the list, and the fit.",
        "fit Specification DirectQuestion SecondList ItemAnswers RandomisedResponse Endorsement Outcome KnownPrevalence KnownItem",
    ),
    "Estimates": (
        "From a fit's draws to draws of what was asked.",
        "prevalence realised_prevalence trait_probability contrast misreporting observed_by pooling summarise tidy",
    ),
    "Change between waves": (
        "The course of the prevalence, and what can be asked of it.",
        "change change_summary path filtered p_monotone largest_drop ranks difference_of_changes compare_changes wave_dates",
    ),
    "Comparison and sensitivity": (
        "Between models, and to the priors.",
        "loo compare contraction power_scaling",
    ),
    "Simulation": (
        "Studies before they are made, with their truth.",
        "simulate_survey simulate_surveys shares_as_frame Sampling Questionnaire Refusals",
    ),
    "Reports": ("What is handed on.", "regression_table comparison_report report_of render_report"),
}
PLANNING = "bayes_listexp.planning"



def api_pages() -> dict[str, str]:
    """Markdown pages by file name: one for each group, planning, and the contents."""
    groups = {title: (text, names.split()) for title, (text, names) in GROUPS.items()}
    known = {name for _, names in groups.values() for name in names}
    gone = sorted(known - set(bayes_listexp.__all__))
    if gone:
        raise ValueError(f"no public name: {', '.join(gone)}; take it out of GROUPS in {__name__}")
    if further := [name for name in bayes_listexp.__all__ if name not in known]:
        groups["Further"] = ("What fits no other group.", further)
    pages = {f"api_{_slug(title)}.md": _page(title, text, "bayes_listexp", names) for title, (text, names) in groups.items()}
    planning = [name for name in import_module(PLANNING).__all__ if name[0].islower() or name[1].islower()]
    pages["api_planning.md"] = _page("Planning", "In `bayes_listexp.planning`: the next study.", PLANNING, planning)
    return pages | {"api.md": _contents([*pages])}


def _contents(pages: list[str]) -> str:
    return "\n".join([
        "# Reference of the public names",
        "",
        "Everything here is `bayes_listexp.NAME`, with `import bayes_listexp as ble` usually `ble.NAME`; planning is in a module of",
        "its own. Constructing a study never samples; `fit` is the only call here that may take longer than seconds.",
        "",
        "```{toctree}",
        ":maxdepth: 2",
        "",
        *(page.removesuffix(".md") for page in pages),
        "```",
        "",
    ])


def _page(title: str, text: str, module: str, names: list[str]) -> str:
    home = import_module(module)
    described = [block for name in names for block in _entry(module, name, isinstance(getattr(home, name), type))]
    listed = [f"   {name}" for name in names]
    return "\n".join([
        f"# {title}", "", text, "",
        "```{eval-rst}", f".. currentmodule:: {module}", "", ".. autosummary::", "   :nosignatures:", "", *listed, "```", "",
        *described,
    ])


def _entry(module: str, name: str, is_class: bool) -> list[str]:
    value = getattr(import_module(module), name)
    kind = "autoclass" if is_class else "autofunction" if callable(value) else "autodata"
    members = _public_methods(value) if is_class and not issubclass(value, Exception) else []
    options = [f"   :members: {', '.join(members)}"] if members else []
    return [f"## {name}", "", "```{eval-rst}", f".. {kind}:: {module}.{name}", *options, "```", ""]


def _public_methods(cls: type) -> list[str]:
    """Class methods and other ways to make or change a record; what instruments do inside a model is not for users."""
    if not cls.__module__.endswith(("experiment", "population")):
        return []
    return [name for name, value in vars(cls).items() if not name.startswith("_") and (callable(value) or isinstance(value, classmethod))]


def _slug(title: str) -> str:
    return title.lower().replace(" ", "_")
