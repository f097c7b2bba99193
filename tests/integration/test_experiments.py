"""Experiments and arms: created, read, changed, and walked through their life cycle."""

import pytest

ARMS = [{"key": "a", "is_control": True}, {"key": "b"}]


def create(api, key="test", **fields):
    return api.post("/experiments", {"key": key, "arms": ARMS, **fields})


def walk(api, *steps):
    answer = None
    for step in steps:
        answer = api.post(f"/experiments/test/{step}")
        assert answer.status_code == 200, answer.text
    return answer


class TestCreate:
    """POST /experiments"""

    def test_a_continuous_reward_has_the_bounds_it_is_given(self, api):
        """None given: none. And no default reward that its own bounds exclude."""
        free = create(api, "free", reward={"type": "continuous"}).json["reward"]
        rating = create(api, "rating", reward={"type": "continuous", "min": 1, "max": 5}).json[
            "reward"
        ]

        assert (free["min"], free["max"], free["default_reward"]) == (None, None, 0)
        assert (rating["min"], rating["max"], rating["default_reward"]) == (1, 5, None)

    def test_fills_in_the_contracts_defaults(self, api):
        """Every default of the contract, by value."""
        answer = create(api)

        assert answer.status_code == 201
        assert answer.headers["ETag"] == '"1"'
        created = answer.json
        assert created.pop("created_at") == created.pop("updated_at")
        assert created == {
            "key": "test",
            "name": "test",
            "description": "",
            "arms": [
                {
                    "key": key,
                    "name": key,
                    "payload": None,
                    "is_control": key == "a",
                    "max_probability": None,
                    "status": "active",
                }
                for key in "ab"
            ],
            "guardrails": [],
            "policy": {"type": "thompson_sampling", "params": {}},
            "reward": {
                "type": "binary",
                "min": 0,
                "max": 1,
                "attribution_window_s": 86400,
                "default_reward": 0,
                "aggregation": "first",
            },
            "allocation": {
                "probability_floor": 0.01,
                "control_share": 0.0,
                "stickiness": "none",
                "sticky_ttl_s": None,
            },
            "decay_half_life_s": None,
            "decay_half_life_decisions": None,
            "update_interval_s": 1,
            "seed": None,
            "status": "draft",
            "version": 1,
            "started_at": None,
            "stopped_at": None,
        }

    def test_is_read_back_as_created(self, api):
        """Payloads keep their order and their numbers."""
        payload = {"z": 1, "a": [1.50, None, {"é": "ü"}]}
        created = create(api, arms=[{"key": "a", "payload": payload}, {"key": "b"}]).json

        assert api.get("/experiments/test").json == created
        assert list(created["arms"][0]["payload"]) == ["z", "a"]

    def test_a_key_is_taken_once(self, api):
        """The second one is a conflict, and changes nothing."""
        create(api, name="One")

        answer = create(api, name="Two")

        assert answer.status_code == 409
        assert api.get("/experiments/test").json["name"] == "One"

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"arms": ARMS[:1]}, "arms"),
            ({"arms": [*ARMS, {"key": "b"}]}, "arms"),
            ({"arms": [*ARMS, {"key": "C"}]}, "arms.2.key"),
            ({"arms": [*ARMS, {"key": "c", "colour": "red"}]}, "arms.2.colour"),
            ({"key": "Test"}, "key"),
            ({"nmae": "Test"}, "nmae"),
            ({"seed": -1}, "seed"),
            ({"seed": 1.5}, "seed"),
            ({"update_interval_s": 0}, "update_interval_s"),
            ({"policy": {"type": "best"}}, "policy"),
            ({"policy": {"type": "epsilon_greedy", "params": {"epsilon": 2}}}, "policy"),
            ({"reward": {"type": "vague"}}, "reward.type"),
            ({"reward": {"default_reward": 0.5}}, "reward.default_reward"),
            ({"allocation": {"probability_floor": 0.6}}, "allocation.probability_floor"),
            ({"allocation": {"control_share": 1.1}}, "allocation.control_share"),
            ({"allocation": {"stickiness": "ttl"}}, "allocation.sticky_ttl_s"),
            ({"decay_half_life_s": 0.5}, "decay_half_life_s"),
            ({"decay_half_life_decisions": 0}, "decay_half_life_decisions"),
            ({"decay_half_life_s": 60, "decay_half_life_decisions": 9}, "decay_half_life_s"),
        ],
    )
    def test_what_does_not_fit_is_named_by_its_path(self, shared_api, key, fields, path):
        """422 with the field's path; nothing is stored."""
        answer = create(shared_api, **{"key": key, **fields})

        assert answer.status_code == 422
        assert path in answer.json["errors"]
        assert shared_api.get(f"/experiments/{key}").status_code == 404


class TestList:
    """GET /experiments"""

    def test_newest_first_in_pages(self, api):
        """Five experiments in pages of two: 2 + 2 + 1."""
        for i in range(5):
            create(api, f"e{i}")
        seen, sizes, cursor = [], [], ""
        while cursor is not None:
            found = api.get(f"/experiments?limit=2{cursor and '&cursor=' + cursor}").json
            seen += [experiment["key"] for experiment in found["items"]]
            sizes.append(len(found["items"]))
            cursor = found["next_cursor"]

        assert seen == ["e4", "e3", "e2", "e1", "e0"]
        assert sizes == [2, 2, 1]

    def test_by_status(self, api):
        """One draft, one running."""
        create(api, "draft")
        api.running("running")

        found = api.get("/experiments?status=running").json["items"]

        assert [experiment["key"] for experiment in found] == ["running"]

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=201", "limit=x", "cursor=x", "status=on", "x=1"]
    )
    def test_a_wrong_query_is_an_error(self, shared_api, query):
        """Not silence."""
        assert shared_api.get(f"/experiments?{query}").status_code == 422


class TestLifeCycle:
    """draft -> running <-> paused -> stopped"""

    def test_start_pause_start_stop(self, api):
        """Each step raises the version by one; started_at is the first start's."""
        create(api)
        started = walk(api, "start").json
        again = walk(api, "pause", "start").json
        stopped = walk(api, "stop").json

        assert (started["status"], started["version"]) == ("running", 2)
        assert again["started_at"] == started["started_at"]
        assert (stopped["status"], stopped["version"]) == ("stopped", 5)
        assert stopped["stopped_at"] >= stopped["started_at"]

    @pytest.mark.parametrize(
        ("before", "step"),
        [
            ([], "pause"),
            ([], "stop"),
            (["start"], "start"),
            (["start", "pause"], "pause"),
            (["start", "stop"], "start"),
            (["start", "stop"], "pause"),
            (["start", "stop"], "stop"),
        ],
    )
    def test_a_step_from_the_wrong_state_is_a_conflict(self, shared_api, key, before, step):
        """409, and the version stays."""
        create(shared_api, key)
        for earlier in before:
            assert shared_api.post(f"/experiments/{key}/{earlier}").status_code == 200

        answer = shared_api.post(f"/experiments/{key}/{step}")

        assert answer.status_code == 409
        assert answer.json["type"].endswith("wrong-state")
        assert shared_api.get(f"/experiments/{key}").json["version"] == 1 + len(before)

    @pytest.mark.parametrize("step", ["start", "pause", "stop"])
    def test_an_unknown_experiment_is_not_found(self, shared_api, step):
        """404."""
        assert shared_api.post(f"/experiments/none/{step}").status_code == 404


class TestIfMatch:
    """Changes are made to the version that the caller has seen."""

    def test_the_current_version_matches(self, api):
        """The answer has the next one."""
        tag = create(api).headers["ETag"]

        answer = api.patch("/experiments/test", {"name": "New"}, if_match=tag)

        assert answer.status_code == 200
        assert (tag, answer.headers["ETag"]) == ('"1"', '"2"')

    @pytest.mark.parametrize("tag", ['"1"', '"3"', "2", '"x"', '"2", "3"'])
    def test_another_version_does_not(self, shared_api, key, tag):
        """412, for the past, the future, and what is no version at all; nothing changes."""
        shared_api.running(key)

        answer = shared_api.patch(f"/experiments/{key}", {"name": "New"}, if_match=tag)

        assert answer.status_code == 412
        assert shared_api.get(f"/experiments/{key}").json["name"] == key

    def test_a_star_matches_any_version(self, api):
        """As in RFC 9110."""
        create(api)

        assert api.patch("/experiments/test", {"name": "New"}, if_match="*").status_code == 200

    @pytest.mark.parametrize("step", ["start", "pause", "stop"])
    def test_guards_the_life_cycle_too(self, shared_api, key, step):
        """A stale start, pause or stop is refused before its state is looked at."""
        shared_api.running(key)

        assert shared_api.post(f"/experiments/{key}/{step}", if_match='"1"').status_code == 412

    def test_guards_the_arms_too(self, api):
        """Their version is their experiment's."""
        api.running()

        added = api.post("/experiments/test/arms", {"key": "c"}, if_match='"1"')
        changed = api.patch("/experiments/test/arms/b", {"name": "B"}, if_match='"1"')

        assert (added.status_code, changed.status_code) == (412, 412)


class TestPatch:
    """PATCH /experiments/{key}"""

    def test_merges_reward_and_allocation_field_by_field(self, api):
        """What is not named stays."""
        create(
            api,
            reward={"aggregation": "sum"},
            allocation={"control_share": 0.2},
        )

        changed = api.patch(
            "/experiments/test",
            {"reward": {"attribution_window_s": 60}, "allocation": {"probability_floor": 0.1}},
        ).json

        assert changed["reward"]["aggregation"] == "sum"
        assert changed["reward"]["attribution_window_s"] == 60
        assert changed["allocation"]["control_share"] == 0.2
        assert changed["allocation"]["probability_floor"] == 0.1

    def test_replaces_the_policy_as_a_whole(self, api):
        """Parameters of one policy mean nothing to another."""
        create(api, policy={"type": "epsilon_greedy", "params": {"epsilon": 0.3}})

        changed = api.patch("/experiments/test", {"policy": {"type": "uniform"}}).json

        assert changed["policy"] == {"type": "uniform", "params": {}}

    @pytest.mark.parametrize("changes", [{"reward": {"max": 2}}, {"seed": 7}])
    def test_what_was_learned_from_cannot_change(self, shared_api, key, changes):
        """Reward and seed are fixed by the start."""
        shared_api.running(key)

        assert shared_api.patch(f"/experiments/{key}", changes).status_code == 409

    def test_a_stopped_experiment_keeps_all_but_its_description(self, api):
        """Its record stands; what people call it may change."""
        api.running()
        walk(api, "stop")

        assert api.patch("/experiments/test", {"name": "Old one"}).status_code == 200
        assert api.patch("/experiments/test", {"policy": {"type": "uniform"}}).status_code == 409

    @pytest.mark.parametrize("field", ["key", "arms", "status", "version"])
    def test_other_fields_cannot_be_changed(self, shared_api, key, field):
        """Naming one is an error, not silence."""
        create(shared_api, key)

        assert shared_api.patch(f"/experiments/{key}", {field: "x"}).status_code == 422

    def test_the_result_must_keep_the_rules(self, api):
        """A floor of 0.6 for two arms does not fit, although it is a number from 0 to 1."""
        create(api)

        answer = api.patch("/experiments/test", {"allocation": {"probability_floor": 0.6}})

        assert answer.status_code == 422
        assert "allocation.probability_floor" in answer.json["errors"]


class TestAudit:
    """GET /experiments/{key}/audit"""

    def test_every_change_leaves_its_from_and_to(self, api):
        """Newest first, with who did it, and only what differs."""
        create(api)
        api.patch("/experiments/test", {"name": "New", "allocation": {"control_share": 0.1}})
        walk(api, "start")
        api.patch("/experiments/test/arms/b", {"status": "paused"})

        arm, start, update, created = api.get("/experiments/test/audit").json["items"]

        assert [e["action"] for e in (created, update, start, arm)] == [
            "created",
            "updated",
            "started",
            "arm_updated",
        ]
        assert [e["version"] for e in (created, update, start, arm)] == [1, 2, 3, 4]
        assert created["changes"]["name"] == {"from": None, "to": "test"}
        assert update["changes"] == {
            "name": {"from": "test", "to": "New"},
            "allocation.control_share": {"from": 0.0, "to": 0.1},
        }
        assert start["changes"] == {"status": {"from": "draft", "to": "running"}}
        assert arm["changes"] == {"arms.b.status": {"from": "active", "to": "paused"}}
        assert {e["key_name"] for e in (created, update, start, arm)} == {"bootstrap admin"}

    def test_a_refused_change_leaves_nothing(self, api):
        """Only the creation is there."""
        create(api)
        api.post("/experiments/test/pause")
        api.patch("/experiments/test", {"name": "New"}, if_match='"7"')

        entries = api.get("/experiments/test/audit").json["items"]

        assert [entry["action"] for entry in entries] == ["created"]

    def test_comes_in_pages(self, api):
        """Three entries in pages of two."""
        api.running()
        walk(api, "pause")

        first = api.get("/experiments/test/audit?limit=2").json
        rest = api.get(f"/experiments/test/audit?limit=2&cursor={first['next_cursor']}").json

        actions = [entry["action"] for entry in first["items"] + rest["items"]]
        assert actions == ["paused", "started", "created"]
        assert rest["next_cursor"] is None


class TestArms:
    """Arms come and go; their history stays."""

    def test_an_arm_added_midway_starts_from_the_prior(self, api):
        """a and b have data, c none; it can be drawn at once."""
        api.running(policy={"type": "uniform"})
        for i in range(20):
            api.decide(unit_id=f"u{i}")

        answer = api.post("/experiments/test/arms", {"key": "c", "payload": 3})
        decision = api.decide(eligible_arms=["c"])

        assert answer.status_code == 201
        assert answer.headers["ETag"] == '"3"'
        assert answer.json == {
            "key": "c",
            "name": "c",
            "payload": 3,
            "is_control": False,
            "max_probability": None,
            "status": "active",
        }
        assert (decision["arm_key"], decision["payload"]) == ("c", 3)
        assert api.arm("c")["decisions"] == 1
        assert api.decide()["probabilities"] == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})

    def test_an_arms_key_is_taken_once(self, api):
        """409, also for a retired one: its decisions carry that key."""
        api.running(n_arms=3)
        api.patch("/experiments/test/arms/b", {"status": "retired"})

        assert api.post("/experiments/test/arms", {"key": "b"}).status_code == 409

    def test_a_second_control_is_refused(self, api):
        """422, at most one arm is the control."""
        api.running()

        answer = api.post("/experiments/test/arms", {"key": "c", "is_control": True})

        assert answer.status_code == 422

    @pytest.mark.parametrize("status", ["paused", "retired"])
    def test_an_arm_out_of_play_is_never_drawn_and_keeps_its_history(self, api, status):
        """Probability 0 from the next decision on; what it got stays in the results."""
        api.running(policy={"type": "uniform"})
        decision = api.decide(eligible_arms=["b"])
        api.reward(decision["decision_id"], 1)

        api.patch("/experiments/test/arms/b", {"status": status})

        assert api.decide()["probabilities"] == {"a": 1.0, "b": 0.0}
        assert (api.arm("b")["decisions"], api.arm("b")["reward_sum"]) == (1, 1.0)
        assert api.arm("b")["propensity"] == 0.0

    def test_a_paused_arm_comes_back(self, api):
        """With its old statistics."""
        api.running(policy={"type": "uniform"})
        api.patch("/experiments/test/arms/b", {"status": "paused"})

        api.patch("/experiments/test/arms/b", {"status": "active"})

        assert api.decide()["probabilities"] == {"a": 0.5, "b": 0.5}

    def test_a_retired_arm_does_not(self, api):
        """409; retiring it again is no change of state, and allowed."""
        api.running()
        api.patch("/experiments/test/arms/b", {"status": "retired"})

        assert api.patch("/experiments/test/arms/b", {"status": "active"}).status_code == 409
        assert api.patch("/experiments/test/arms/b", {"status": "retired"}).status_code == 200

    def test_the_last_active_arm_stays(self, api):
        """409: a running experiment must be able to answer."""
        api.running()
        api.patch("/experiments/test/arms/b", {"status": "paused"})

        assert api.patch("/experiments/test/arms/a", {"status": "paused"}).status_code == 409

    def test_a_retired_arm_is_never_the_best(self, api):
        """Probability 0 of being best, and the others' sum is 1."""
        api.running(n_arms=3)
        api.patch("/experiments/test/arms/c", {"status": "retired"})

        best = [api.arm(key)["probability_best"] for key in "abc"]

        assert best == pytest.approx([0.5, 0.5, 0.0])

    def test_an_unknown_arm_is_not_found(self, api):
        """404."""
        api.running()

        assert api.patch("/experiments/test/arms/x", {"name": "X"}).status_code == 404

    def test_a_stopped_experiment_takes_no_arms(self, api):
        """409 for a new one, and for another status of an old one."""
        api.running()
        walk(api, "stop")

        assert api.post("/experiments/test/arms", {"key": "c"}).status_code == 409
        assert api.patch("/experiments/test/arms/b", {"status": "paused"}).status_code == 409


class TestPausedAndStopped:
    """What decisions get, from the moment the change was answered."""

    def test_a_paused_experiment_answers_its_control_and_learns_nothing(self, api, differences):
        """Neither the decision nor its reward is counted; both are in the log."""
        api.running(policy={"type": "uniform"})
        walk(api, "pause")

        decision = api.decide()
        result = api.reward(decision["decision_id"], 1)

        assert (decision["arm_key"], decision["reason"]) == ("a", "paused")
        assert (decision["propensity"], decision["probabilities"]) == (1.0, {"a": 1.0, "b": 0.0})
        assert result["status"] == "recorded"
        totals = api.get("/experiments/test/results").json["totals"]
        assert totals == {"decisions": 0, "rewards": 0, "reward_sum": 0.0, "pending": 0}
        logged = api.get(f"/decisions/{decision['decision_id']}").json
        assert [reward["reward"] for reward in logged["rewards"]] == [1.0]
        assert differences() == []

    def test_a_worker_that_has_not_heard_of_a_pause_obeys_it(self, api, deaf_api):
        """Its memory is stale; the log refuses what was decided from it, and it decides anew."""
        api.running(policy={"type": "uniform"})
        assert deaf_api.decide()["reason"] == "policy"

        walk(api, "pause")

        assert {deaf_api.decide(unit_id=f"u{i}")["reason"] for i in range(10)} == {"paused"}

    def test_a_worker_that_has_not_heard_of_a_stop_obeys_it(self, api, deaf_api):
        """409 from the next request on, alone and in a batch."""
        api.running()
        deaf_api.decide()

        walk(api, "stop")

        single = deaf_api.post("/experiments/test/decisions", {"unit_id": "u"})
        assert single.status_code == 409
        element = {"experiment_key": "test", "unit_id": "u"}
        batch = deaf_api.post("/decisions:batch", {"decisions": [element]}).json["results"]
        assert [result["status"] for result in batch] == [409]

    def test_a_worker_that_has_not_heard_of_a_restart_obeys_it(self, api, deaf_api):
        """From paused back to running."""
        api.running(policy={"type": "uniform"})
        walk(api, "pause")
        assert deaf_api.decide()["reason"] == "paused"

        walk(api, "start")

        assert deaf_api.decide()["reason"] == "policy"

    def test_a_worker_that_has_not_heard_of_a_retired_arm_never_draws_it(self, api, deaf_api):
        """Twenty decisions, none of b."""
        api.running(policy={"type": "uniform"})
        deaf_api.decide()

        api.patch("/experiments/test/arms/b", {"status": "retired"})

        assert {deaf_api.decide(unit_id=f"u{i}")["arm_key"] for i in range(20)} == {"a"}

    def test_a_worker_that_has_not_heard_of_a_new_arm_can_be_asked_for_it(self, api, deaf_api):
        """Before it answers that there is no such arm it looks again."""
        api.running()
        deaf_api.decide()

        api.post("/experiments/test/arms", {"key": "c"})

        assert deaf_api.decide(eligible_arms=["c"])["arm_key"] == "c"

    def test_a_worker_that_has_not_heard_of_an_arms_return_can_be_asked_for_it(self, api, deaf_api):
        """The same for an arm that was paused when it last looked."""
        api.running()
        api.patch("/experiments/test/arms/b", {"status": "paused"})
        deaf_api.decide()

        api.patch("/experiments/test/arms/b", {"status": "active"})

        assert deaf_api.decide(eligible_arms=["b"])["arm_key"] == "b"

    def test_rewards_still_count_after_the_stop(self, api):
        """The outcome of an earlier decision belongs to its arm."""
        api.running()
        decision = api.decide()
        walk(api, "stop")

        assert api.reward(decision["decision_id"], 1)["status"] == "recorded"
        assert api.arm(decision["arm_key"])["reward_sum"] == 1.0
