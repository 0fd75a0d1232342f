"""The household survey: the answers given at each visit, and the members listed.

Columns of the questions follow `survey.yaml`; the others are the household's and its members' own facts.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sijill.errors import SijillError
from simulation.draws import Bools, Floats, with_nulls, zero_padded
from simulation.names import join
from simulation.population import (
    CIVIL_STATES,
    EDUCATION,
    EMPLOYMENT,
    FORMAL,
    INFORMAL,
    RELATIONSHIPS,
    RETIRED,
    World,
)
from simulation.records import Coded, Flag, Instants, Makers, Number, Table, Values, Writer, pick, region
from simulation.registers import survey_meter
from simulation.settings import Question
from simulation.survey_visits import Visits

_UUID = len("uuid:") + 36
_NAMES = {"given_name", "father_name", "grandfather_name", "family_name", "mother_name"}
# No draw reaches it: the question is not put.
_NEVER = 2.0


def household_table(world: World, visits: Visits) -> Table:
    """One row a visit."""
    homes, people, places = world.households, world.people, world.places
    rng = world.seed.stream("survey household")
    at, n = visits.household, len(visits.household)
    place, urban, z = homes.place[at], homes.is_urban[at], homes.z[at]
    size = np.bincount(visits.visit, minlength=n).astype(np.int64)
    started = visits.on.astype("datetime64[s]") + rng.integers(8 * 3600, 15 * 3600, n).astype(
        "timedelta64[s]"
    )
    finished = started + rng.integers(35 * 60, 110 * 60, n).astype("timedelta64[s]")
    submitted = finished + rng.integers(60, 50 * 3600, n).astype("timedelta64[s]")
    worker = place * 5 % 1500 + rng.integers(0, 4, n)
    earnings = people.wage + people.pension + people.informal_income
    visit_earnings = np.bincount(visits.visit, earnings[visits.person], minlength=n)
    earners = np.bincount(visits.visit, earnings[visits.person] > 0, minlength=n).astype(np.int64)
    spending = homes.consumption[at] * np.maximum(size, 1) * np.exp(rng.normal(-0.12, 0.22, n))
    food = spending * np.clip(0.42 - 0.07 * z + rng.normal(0, 0.06, n), 0.12, 0.85)
    declared = visit_earnings * np.clip(0.82 + rng.normal(0, 0.15, n), 0.2, 1.2)
    first_listed = np.searchsorted(visits.visit, np.arange(n))
    head = visits.person[np.minimum(first_listed, len(visits.person) - 1)]
    off = rng.normal(0, 0.0002, (2, n))
    own = world.seed.numbers("address", at, 8)
    form, offset = world.settings.world.form, world.settings.world.utc_offset
    arabic = form.style == "arabic"
    district = pick(places.district_arabic if arabic else places.district, place)
    streets = world.settings.registers.streets["arabic" if arabic else "latin"]
    columns: dict[str, Values] = {
        "submitted_at": Instants(submitted, offset),
        "started_at": Instants(started, offset),
        "finished_at": Instants(finished, offset),
        "surveyed_on": visits.on,
        "interviewer_id": _prefixed(form.interviewer, zero_padded(worker, 4)),
        "local_unit": join(
            [pa.array([form.local_unit] * n, pa.large_string()), pick(places.district, place)]
        ),
        "region": region(world, place),
        "district": district,
        "sector": join([district, pa.array(own % 9 + 1).cast(pa.large_string())]),
        "address": join(
            [
                pa.array(own % 180 + 1).cast(pa.large_string()),
                pick(streets, (own // 180) % len(streets)),
            ]
        ),
        "postal_code": pick(places.postal_code, place),
        "stratum": Coded(urban.astype(np.int64), ["rural", "urban"]),
        "latitude": Number(np.round((homes.latitude[at] + off[0]) * 1e7).astype(np.int64), 7),
        "longitude": Number(np.round((homes.longitude[at] + off[1]) * 1e7).astype(np.int64), 7),
        "phone": zero_padded(people.phone[head], world.settings.world.phone.width, rng.random(n) < 0.12),
        "electricity_meter_number": survey_meter(world, at, rng),
        "monthly_expenditure_amount": Number.money(np.round(spending)),
        "food_expenditure_amount": Number.money(np.round(food)),
        "declared_income_amount": Number.money(np.round(declared, -1)),
        "n_earners": Number(earners),
        "n_members_declared": Number(size),
        "instance_id": visits.key,
        "member_set": _joined(visits.key, form.members),
        "key": visits.key,
        "submitter_id": Number(100 + worker),
        "photos_present": Number(np.full(n, 3)),
        "photos_expected": Number(np.full(n, 3)),
        "review_state": Coded(
            np.where(rng.random(n) < 0.93, 0, np.where(rng.random(n) < 0.5, 1, -1)),
            ["approved", "has_issues"],
        ),
        "device_id": _prefixed(form.device, zero_padded(worker % 1100, 4)),
        "form_version": pa.array([form.version] * n, pa.large_string()),
    }
    town: Floats = urban.astype(np.float64) - world.settings.world.urban_share
    changed = visits.is_repeated
    rate = world.settings.defects.world.answers_changed
    for name, question in world.settings.survey.survey_household.items():
        stream = world.seed.stream(f"answer {name}")
        draws = stream.random((2, len(homes.z)))[:, at]
        again = stream.random((2, n))
        anew = changed & (stream.random(n) < rate)
        draw, asked = np.where(anew, again, draws)
        asked = np.where(_reached(question, columns, n), asked, _NEVER)
        columns[name] = answer(question, draw, asked, z, town, visits.key)
    return Table("survey_household", columns, np.full(n, -1, dtype=np.int64), at.copy(), +visits.defects)


def member_table(world: World, visits: Visits, wanted: Collection[str]) -> Table:
    """One row a listed member."""
    people, homes = world.people, world.households
    form = world.settings.world.form
    w = Writer(world, "survey_member", visits.person, form.style, latin=form.latin)
    rng, who, n = w.rng, visits.person, len(visits.person)
    z = homes.z[people.household[who]]
    town: Floats = homes.is_urban[people.household[who]].astype(np.float64)
    town -= world.settings.world.urban_share
    age = ((visits.on[visits.visit] - people.born_on[who]).astype(np.int64) / 365.2425).astype(np.int64)
    adult, woman = age >= 18, ~people.is_male[who]
    position = np.arange(n, dtype=np.int64) - np.searchsorted(visits.visit, visits.visit) + 1
    parent = visits.key.take(pa.array(visits.visit))
    works = np.isin(people.employment[who], (FORMAL, INFORMAL))
    income = people.wage[who] * np.where(rng.random(n) < 0.25, 0.0, 0.85)
    income = (income + people.pension[who] * 0.95 + people.informal_income[who] * 0.8) * rng.uniform(
        0.8, 1.1, n
    )
    # A formal job is often called something else at the door.
    said = np.where(
        (people.employment[who] == FORMAL) & (rng.random(n) < 0.2), INFORMAL, people.employment[who]
    )
    disabled = people.disability[who]
    pregnant = woman & (age >= 18) & (age < 43) & (people.civil_state[who] == 1) & (rng.random(n) < 0.06)
    own: Makers = {
        "relationship": lambda: Coded(np.where(visits.leads, 0, people.relationship[who]), RELATIONSHIPS),
        "given_name": w.given_name,
        "father_name": w.father_name,
        "grandfather_name": w.grandfather_name,
        "family_name": w.family_name,
        "mother_name": w.mother_name,
        # Minors have no identity card; some families know the number all the same.
        "national_number": lambda: w.national_number(known=adult | (rng.random(n) < 0.3)),
        "sex": w.sex,
        "birth_date": w.birth_date,
        "declared_age": lambda: Number(
            np.clip(age + np.where(rng.random(n) < 0.06, rng.integers(-2, 3, n), 0), 0, 110)
        ),
        "birth_place": lambda: w.district(people.birth_place[who]),
        "phone": lambda: with_nulls(w.phone(0.62), ~adult),
        "marital_status": lambda: Coded(people.civil_state[who], CIVIL_STATES),
        "is_literate": lambda: Flag((people.education[who] > 0) & ((age >= 7) | people.is_enrolled[who])),
        "education_level": lambda: Coded(people.education[who], EDUCATION),
        "is_enrolled": lambda: Flag(people.is_enrolled[who]),
        "employment_status": lambda: Coded(said, EMPLOYMENT),
        "declared_income_amount": lambda: Number.money(np.round(income, -1), ~adult),
        "declares_pension": lambda: Flag((people.employment[who] == RETIRED) & (rng.random(n) < 0.93)),
        "has_chronic_disease": lambda: Flag(people.has_chronic_disease[who]),
        "disability": lambda: Coded(disabled, ["none", "moderate", "severe"]),
        "needs_carer": lambda: Flag(
            (disabled == 2) & (rng.random(n) < 0.7) | (age > 82) & (rng.random(n) < 0.4)
        ),
        "is_pregnant": lambda: Flag(pregnant, ~(woman & (age >= 15) & (age < 50))),
        "parent_key": lambda: parent,
        "key": lambda: pc.binary_join_element_wise(
            parent,
            pa.scalar(f"{form.members}[", pa.large_string()),
            pa.array(position).cast(pa.large_string()),
            pa.scalar("]", pa.large_string()),
            pa.scalar("", pa.large_string()),
        ),
    }
    asked_of: dict[str, Bools] = {
        "all": np.ones(n, dtype=bool),
        "child": age < 16,
        "adult": adult,
        "woman": woman,
        "worker": works,
        "pupil": people.is_enrolled[who],
        "head": visits.leads,
        "disabled": disabled > 0,
    }
    # Facts are made whether the contract has them or not, because questions may follow them; names are not.
    made = {name: make() for name, make in own.items() if name in wanted or name not in _NAMES}
    columns: dict[str, Values] = {**made}
    for name, question in world.settings.survey.survey_member.items():
        draw, asked = world.seed.stream(f"answer member {name}").random((2, n))
        eligible = asked_of[question.of] & _reached(question, columns, n)
        columns[name] = answer(question, draw, np.where(eligible, asked, _NEVER), z, town, parent)
    table = w.table("survey_member", {name: partial(_same, v) for name, v in columns.items()}, wanted)
    dead = people.died_on[who] < world.cycle_on
    table.defects["dead_but_surveyed"] += int(dead.sum())
    return table


def _reached(question: Question, columns: dict[str, Values], n: int) -> Bools:
    """Respondents whose earlier answers lead to a question."""
    reached = np.ones(n, dtype=bool)
    for name, wanted in question.follows.items():
        earlier = columns.get(name)
        if isinstance(earlier, Flag) and isinstance(wanted, bool):
            given = earlier.values == wanted
            reached &= given if earlier.missing is None else given & ~earlier.missing
        elif isinstance(earlier, Coded) and wanted in earlier.levels:
            reached &= earlier.codes == list(earlier.levels).index(str(wanted))
        else:
            raise SijillError(
                f"survey.yaml: a question follows {name} = {wanted}, which is no earlier answer.",
                expected="a column that stands before it, and one of its answers",
                action="correct follows",
            )
    return reached


def answer(question: Question, draw: Floats, asked: Floats, z: Floats, town: Floats, key: pa.Array) -> Values:
    """Answers to one question: the latent answer is a logistic draw moved by welfare and by town.

    Args:
        draw, asked: uniform draws; shape (respondents,). A question is answered where `asked` is below its share.
        z: welfare of the respondent's household, in standard deviations.
        town: 1 in towns and 0 elsewhere, less the country's share of households in towns.
        key: keys of the submissions, for names of pictures.
    """
    missing = asked >= question.asked
    draw = np.clip(draw, 1e-12, 1 - 1e-12)
    noise = np.log(draw / (1 - draw))
    latent = noise + question.slope * z + question.urban * town
    if question.share is not None:
        odds = np.log(max(question.share, 1e-9) / max(1 - question.share, 1e-9))
        return Flag(latent + odds > 0, missing)
    if question.levels is not None:
        shares = np.cumsum(np.array(list(question.levels.values())))
        shares = np.clip(shares[:-1] / shares[-1], 1e-9, 1 - 1e-9)
        # Approximate quantiles of a logistic draw widened by a normal one, whose variances add.
        spread = np.sqrt(1 + question.slope**2 / (np.pi**2 / 3))
        codes = np.digitize(latent, np.log(shares / (1 - shares)) * spread).astype(np.int64)
        return Coded(np.where(missing, -1, codes), list(question.levels))
    if question.choices is not None:
        shares = np.cumsum(np.array(list(question.choices.values())))
        codes = np.searchsorted(shares[:-1] / shares[-1], draw, side="right").astype(np.int64)
        return Coded(np.where(missing, -1, codes), list(question.choices))
    if question.number is not None:
        # 0.55 turns a logistic draw into one of standard deviation 1.
        moved = question.slope * z + question.urban * town + question.spread * 0.55 * noise
        value = np.clip(question.number * np.exp(moved), question.least, question.most)
        return Number(np.round(value * 10**question.decimals).astype(np.int64), question.decimals, missing)
    before, _, after = (question.text or "").partition("{uuid}")
    identifier = pc.utf8_slice_codeunits(key, len("uuid:"), _UUID)
    return with_nulls(_joined(_prefixed(before, identifier), after), missing)


def _same(values: Values) -> Values:
    return values


def _prefixed(text: str, values: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(
        pa.scalar(text, pa.large_string()), values, pa.scalar("", pa.large_string())
    )


def _joined(values: pa.Array, text: str) -> pa.Array:
    return pc.binary_join_element_wise(
        values, pa.scalar(text, pa.large_string()), pa.scalar("", pa.large_string())
    )
