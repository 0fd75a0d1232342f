-- Tunisia's policy of November 2026 as a person would write it for that one month: what generated SQL is measured against.
-- The same results: score, rank, decile, points by indicator, reasons, amounts by member and benefit, and a hash of the
-- inputs of each; no history, no causes, no other country.

-- name: score
create table by_hand.score as
with facts as (
    select
        household_id
        , coalesce(monthly_net_income_amount / nullif(n_members, 0), 0) as income_per_member
        , coalesce(n_working_adults::numeric / nullif(n_adults, 0), 0) as earners_share
        , coalesce((n_children + n_elderly)::numeric / nullif(n_members, 0), 0) as dependants_share
        , coalesce(n_legacy_benefits > 0, false) as legacy
        , coalesce(n_severe_disability_cards, 0) as severe
        , coalesce(n_disability_cards - n_severe_disability_cards, 0) as other
        , coalesce(n_chronic_disease, 0) as chronic
        , distance_health_km
        , coalesce(n_illiterate_adults::numeric / nullif(n_adults, 0), 0) as illiteracy
        , head_education_level
        , coalesce(n_school_age_not_enrolled, 0) as out_of_school
        , wall_material
        , roof_material
        , floor_material
        , n_members::numeric / nullif(n_rooms, 0) as members_per_room
        , tenure
        , water_source
        , toilet_type
        , electricity_source
        , waste_disposal
        , distance_road_km
        , monthly_electricity_kwh_per_member as kwh
        , has_fridge
        , has_washing_machine
        , has_computer
        , n_cars > 0 or has_car as car
        , cooking_fuel
        , food_shortage
        , region
        , stratum
    from registry.household
    inner join registry.household_evidence using (household_id)
    offset '0'
),

points as (
    select
        household_id
        , encode(sha256(convert_to(f::text, 'UTF8')), 'hex') as input_hash
        , array[
            case when income_per_member < 20 then 14 when income_per_member < 60 then 10 when income_per_member < 120 then 6 when income_per_member < 200 then 3 else 0 end
            , case when earners_share = 0 then 5 when earners_share < 0.34 then 3 else 0 end
            , case when dependants_share >= 0.6 then 4 when dependants_share >= 0.4 then 2 else 0 end
            , case when legacy then 3 else 0 end
            , case when severe >= 1 then 5 else 0 end
            , case when other >= 1 then 3 else 0 end
            , case when chronic >= 2 then 3 when chronic = 1 then 2 else 0 end
            , case when distance_health_km >= 10 then 3 when distance_health_km >= 5 then 1 else 0 end
            , case when illiteracy >= 0.5 then 4 when illiteracy > 0 then 2 else 0 end
            , case when head_education_level = 'none' then 4 when head_education_level = 'primary' then 2 else 0 end
            , case when out_of_school >= 1 then 3 else 0 end
            , case when wall_material in ('mud', 'salvage') then 4 when wall_material = 'mixed' then 2 else 0 end
            , case when roof_material in ('sheet', 'thatch') then 3 else 0 end
            , case when floor_material = 'earth' then 3 when floor_material = 'cement' then 1 else 0 end
            , case when members_per_room > 3 then 4 when members_per_room > 2 then 2 else 0 end
            , case when tenure = 'squatter' then 2 when tenure = 'tenant' then 1 else 0 end
            , case when water_source in ('surface', 'tanker') then 4 when water_source in ('well', 'standpipe') then 2 else 0 end
            , case when toilet_type in ('none', 'shared') then 4 when toilet_type = 'latrine' then 2 else 0 end
            , case when electricity_source = 'none' then 4 when electricity_source = 'shared' then 2 else 0 end
            , case when waste_disposal in ('dumped', 'burned') then 1 else 0 end
            , case when distance_road_km >= 5 then 2 else 0 end
            , case when kwh < 15 then 5 when kwh < 30 then 3 when kwh < 50 then 1 else 0 end
            , case when not has_fridge then 4 else 0 end
            , case when not has_washing_machine then 2 else 0 end
            , case when not has_computer then 1 else 0 end
            , case when not car then 2 else 0 end
            , case when cooking_fuel in ('wood', 'charcoal') then 2 else 0 end
            , case when food_shortage = 'often' then 4 when food_shortage = 'sometimes' then 2 else 0 end
            , case
                when region in ('Kasserine', 'القصرين', 'Kairouan', 'القيروان', 'Sidi Bouzid', 'سيدي بوزيد', 'Kef', 'الكاف', 'Jendouba', 'جندوبة', 'Siliana', 'سليانة') then 6
                when region in ('Beja', 'باجة', 'Gafsa', 'قفصة', 'Tataouine', 'تطاوين', 'Kebili', 'قبلي', 'Zaghouan', 'زغوان') then 4
                when region in ('Tozeur', 'توزر', 'Gabes', 'قابس', 'Medenine', 'مدنين', 'Mahdia', 'المهدية', 'Bizerte', 'بنزرت') then 2
                else 0
            end
            , case when stratum = 'rural' then 3 else 0 end
        ]::numeric [] as item_points
    from facts as f
    offset '0'
),

totals as (
    select
        *
        , (select sum(p) from unnest(item_points) as p) as score
    from points
)

select
    *
    , rank() over (order by score desc) as score_rank
    , count(*) over () as population
    , (rank() over (order by score desc) - 1) * 10 / count(*) over () + 1 as decile
from totals;

-- name: score
create unique index on by_hand.score (household_id);
-- name: score
analyze by_hand.score;

-- name: decision
create table by_hand.decision as
with judged as (
    select
        h.household_id
        , h.region
        , s.score
        , s.score_rank
        , s.decile
        , array_remove(array[
            case
                when e.monthly_net_income_amount * case when e.has_severe_disability then 6 else 3 end > case when e.has_severe_disability then 7 else 2 end * 554.736
                    and h.n_members = 1 then 'income_above_ceiling'
                when e.monthly_net_income_amount > case when e.has_severe_disability then 1.5 else 1 end * 554.736 and h.n_members = 2 then 'income_above_ceiling'
                when e.monthly_net_income_amount > case when e.has_severe_disability then 2 else 1.5 end * 554.736 and h.n_members between 3 and 4 then 'income_above_ceiling'
                when e.monthly_net_income_amount > case when e.has_severe_disability then 2.5 else 2 end * 554.736 and h.n_members >= 5 then 'income_above_ceiling'
            end
            , case when e.n_second_homes > 0 or h.declares_second_home then 'second_home' end
            , case when e.largest_sale_amount > 30 * 554.736 then 'large_sale' end
        ], null) as failed
        , encode(sha256(convert_to(concat_ws('|', s.input_hash, s.score_rank, s.population, e.monthly_net_income_amount, h.n_members, e.has_severe_disability, e.n_second_homes, h.declares_second_home, e.largest_sale_amount), 'UTF8')), 'hex') as input_hash
    from registry.household as h
    inner join registry.household_evidence as e on h.household_id = e.household_id
    inner join by_hand.score as s on h.household_id = s.household_id
)

select
    household_id
    , region
    , score
    , score_rank
    , decile
    , input_hash
    , case when cardinality(failed) > 0 then 'not_eligible' when decile = 1 then 'poor' else 'limited_income' end as status
    , case when cardinality(failed) > 0 then failed when decile = 1 then array['poorest_decile'] else array['above_poorest_decile'] end as reasons
from judged;

-- name: decision
create unique index on by_hand.decision (household_id);
-- name: decision
analyze by_hand.decision;

-- name: entitlement
create table by_hand.component as
select household_id, 'base_allowance' as benefit, null::text as social_id, 280.000::numeric(14, 3) as amount
from by_hand.decision where status = 'poor'
union all
select m.household_id, b.benefit, m.social_id, b.amount
from by_hand.decision as d
inner join registry.member_evidence as m on d.household_id = m.household_id
cross join lateral (
    values
    ('child_supplement', case when m.age_years between 6 and 18 or (m.age_years between 6 and 25 and (m.is_student or m.is_pupil)) then case when m.has_disability_card then 20 else 10 end end)
    , ('family_allowance_0_5', case when m.age_years between 0 and 5 then 30 end)
    , ('family_allowance_6_18', case when m.age_years between 6 and 18 then 30 end)
) as b (benefit, amount)
where d.status = 'poor' and not m.is_head and not m.is_spouse and b.amount > 0;

-- name: entitlement
analyze by_hand.component;

-- name: entitlement
create table by_hand.entitlement as
select
    left(encode(sha256(convert_to('amen_social|' || c.household_id || '|2026-11', 'UTF8')), 'hex'), 32) as entitlement_id
    , c.household_id
    , c.amount
    , encode(sha256(convert_to(d.input_hash || '|' || c.parts, 'UTF8')), 'hex') as input_hash
    , p.social_id as payee_social_id
from (
    select household_id, sum(amount) as amount, string_agg(concat_ws('|', benefit, social_id, amount), ';' order by benefit, social_id) as parts
    from by_hand.component group by household_id
) as c
inner join by_hand.decision as d on c.household_id = d.household_id
left join (
    select distinct on (m.household_id) m.household_id, m.social_id
    from registry.member_evidence as m
    inner join by_hand.decision as d on m.household_id = d.household_id and d.status = 'poor'
    where m.is_head or m.age_years >= 18
    order by m.household_id, not m.is_head, m.birth_date, m.social_id
) as p on c.household_id = p.household_id;

-- name: entitlement
create table by_hand.rights as
select d.household_id, r.right_code, null::text as social_id
from by_hand.decision as d
cross join lateral (
    values
    ('free_care_amg1', d.status = 'poor')
    , ('reduced_tariff_amg2', d.status = 'limited_income')
    , ('employment_priority', d.status in ('poor', 'limited_income'))
    , ('social_housing_priority', d.status in ('poor', 'limited_income'))
) as r (right_code, is_given)
where r.is_given
union all
select d.household_id, 'assistive_device' as right_code, m.social_id
from by_hand.decision as d
inner join registry.member_evidence as m on d.household_id = m.household_id
where d.status in ('poor', 'limited_income') and m.has_disability_card;

-- name: decision
create table by_hand.contradiction as
select household_id, null::text as social_id, 'second_home' as contradiction, declares_second_home::text as declared, n_second_homes::text as registered
from registry.household inner join registry.household_evidence using (household_id) where n_second_homes > 0 and not declares_second_home
union all
select household_id, null, 'car', has_car::text, n_cars::text
from registry.household inner join registry.household_evidence using (household_id) where n_cars > 0 and not has_car
union all
select household_id, null, 'income', declared_income_amount::text, monthly_net_income_amount::text
from registry.household inner join registry.household_evidence using (household_id)
where monthly_net_income_amount > 0 and declared_income_amount < monthly_net_income_amount / 2
union all
select household_id, social_id, 'not_working', employment_status, monthly_wage_amount::text
from registry.member_evidence where monthly_wage_amount > 0 and employment_status in ('unemployed', 'homemaker', 'inactive')
union all
select household_id, social_id, 'disability', declared_disability, has_disability_card::text
from registry.member_evidence where declared_disability = 'severe' and not has_disability_card
union all
select household_id, social_id, 'enrolment', declares_enrolled::text, is_pupil::text
from registry.member_evidence where declares_enrolled and age_years >= 6 and not is_pupil and not is_student;

-- name: entitlement
create table by_hand.member_fact as
select m.*
from registry.member_evidence as m
inner join by_hand.decision as d on m.household_id = d.household_id
where d.status in ('poor', 'limited_income');
