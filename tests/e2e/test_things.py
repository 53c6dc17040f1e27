"""Things and shadows through boto3, and rules whose statements read them for each message."""
import json

from test_rule_api import READING, ROLE, client, data, refused, rule_config, to_stream
from test_pipeline import publish
from weir import wait_for


def shadow(answer):
    return json.loads(answer["payload"].read())


def update(data_plane, thing, state, name=None, **more):
    named = {"shadowName": name} if name else {}
    return shadow(data_plane.update_thing_shadow(thingName=thing, payload=json.dumps({"state": state, **more}), **named))


def test_things(make_weir):
    weir = make_weir(rule_config())
    iot = client(weir)
    made = iot.create_thing(thingName="lamp", thingTypeName="Lamp", attributePayload={"attributes": {"room": "kitchen", "n": "1"}})
    assert made["thingArn"] == "arn:aws:iot:us-east-1:000000000000:thing/lamp" and len(made["thingId"]) == 36
    assert iot.create_thing(thingName="lamp", thingTypeName="Lamp",
                            attributePayload={"attributes": {"n": "1", "room": "kitchen"}})["thingId"] == made["thingId"]
    assert refused(iot.create_thing, thingName="lamp")[:2] == ("ResourceAlreadyExistsException", 409)
    iot.update_thing(thingName="lamp", attributePayload={"attributes": {"n": "2"}, "merge": True}, expectedVersion=1)
    assert refused(iot.update_thing, thingName="lamp", expectedVersion=1)[:2] == ("VersionConflictException", 409)
    for name in ["b:1", "a_1", "c-1"]:
        iot.create_thing(thingName=name)
    pages = list(iot.get_paginator("list_things").paginate(PaginationConfig={"PageSize": 3}))
    assert [[thing["thingName"] for thing in page["things"]] for page in pages] == [["a_1", "b:1", "c-1"], ["lamp"]]
    assert [t["thingName"] for t in iot.list_things(attributeName="n", attributeValue="2")["things"]] == ["lamp"]
    assert [t["thingName"] for t in iot.list_things(thingTypeName="Lamp")["things"]] == ["lamp"]
    iot.delete_thing(thingName="a_1")
    assert refused(iot.describe_thing, thingName="a_1")[:2] == ("ResourceNotFoundException", 404)

    weir.stop()
    weir.start()
    lamp = client(weir).describe_thing(thingName="lamp")
    assert (lamp["version"], lamp["attributes"], lamp["thingTypeName"]) == (2, {"room": "kitchen", "n": "2"}, "Lamp")
    assert lamp["defaultClientId"] == "lamp" and lamp["thingId"] == made["thingId"]


def test_shadows(make_weir):
    weir = make_weir(rule_config())
    iot = client(weir, "iot-data")
    assert refused(iot.get_thing_shadow, thingName="lamp")[:2] == ("ResourceNotFoundException", 404)
    accepted = update(iot, "lamp", {"desired": {"color": {"r": 1, "g": 2}}}, clientToken="t")
    assert accepted["version"] == 1 and accepted["clientToken"] == "t" and "timestamp" in accepted["metadata"]["desired"]["color"]["r"]
    update(iot, "lamp", {"reported": {"color": {"r": 1, "g": 0}}}, version=1)
    document = shadow(iot.get_thing_shadow(thingName="lamp"))
    assert document["state"]["delta"] == {"color": {"g": 2}} and document["version"] == 2
    assert document["state"]["reported"] == {"color": {"r": 1, "g": 0}}
    assert set(document["metadata"]["delta"]["color"]) == {"g"}

    assert refused(iot.update_thing_shadow, thingName="lamp", payload='{"state": {}, "version": 1}')[:3] == (
        "ConflictException", 409, "Version conflict")
    assert refused(iot.update_thing_shadow, thingName="lamp", payload="{")[:2] == ("InvalidRequestException", 400)
    large = json.dumps({"state": {"reported": {"text": "x" * 8192}}})
    assert refused(iot.update_thing_shadow, thingName="lamp", payload=large)[:2] == ("RequestEntityTooLargeException", 413)

    update(iot, "lamp", {"reported": {"n": 1}}, name="second")
    assert iot.list_named_shadows_for_thing(thingName="lamp")["results"] == ["second"]
    weir.stop()
    weir.start()
    iot = client(weir, "iot-data")
    assert shadow(iot.get_thing_shadow(thingName="lamp", shadowName="second"))["state"] == {"reported": {"n": 1}}
    assert shadow(iot.delete_thing_shadow(thingName="lamp"))["version"] == 2
    assert refused(iot.get_thing_shadow, thingName="lamp")[:2] == ("ResourceNotFoundException", 404)
    assert update(iot, "lamp", {"reported": {"on": True}})["version"] == 3, "a new shadow counts on"


def test_rules_read_them(make_weir):
    weir = make_weir(rule_config(workers=2))
    iot, data_plane = client(weir), client(weir, "iot-data")
    iot.create_topic_rule(ruleName="r", topicRulePayload=to_stream(
        "SELECT temperature AS t, get_thing_shadow(topic(2), 'iot').state.desired.limit AS most, "
        "get_registry_data('DescribeThing', topic(2), 'iot').attributes.room AS room FROM 'reading/+' "
        "WHERE temperature > get_thing_shadow(topic(2), 'iot').state.desired.limit"))
    iot.create_thing(thingName="a1", attributePayload={"attributes": {"room": "kitchen"}})
    update(data_plane, "a1", {"desired": {"limit": 20}})
    publish(weir, READING, "reading/a1")
    assert [json.loads(text) for text in data(weir)] == [{"t": 21.5, "most": 20, "room": "kitchen"}]

    # What the API has answered, the next message sees; and on which worker does not matter.
    for limit in [30, 21]:
        update(data_plane, "a1", {"desired": {"limit": limit}})
        for _ in range(4):
            publish(weir, READING, "reading/a1")
    assert [json.loads(text)["most"] for text in data(weir)] == [20] + 4 * [21]

    # Without a shadow the rule fails for the message, which is acknowledged all the same, and counted.
    publish(weir, READING, "reading/none")
    assert len(data(weir)) == 5
    wait_for(lambda: weir.metric("weir_rule_failed_total") == 1, what="the failure")
    iot.replace_topic_rule(ruleName="r", topicRulePayload=to_stream(
        "SELECT get_or_default(get_thing_shadow(topic(2), 'named', 'iot').state.reported, 'none') AS x FROM 'reading/+'"))
    publish(weir, READING, "reading/none")
    update(data_plane, "none", {"reported": {"n": 1}}, name="named")
    publish(weir, READING, "reading/none")
    assert [json.loads(text)["x"] for text in data(weir)[5:]] == ["none", {"n": 1}]


def test_what_a_rule_cannot_read_is_refused_when_it_is_made(make_weir):
    iot = client(make_weir(rule_config()))
    for call, why in [("get_dynamodb('t', 'k', 'v', 'iot')", "get_dynamodb() is not available yet"),
                      ("get_registry_data('ListThingGroupsForThing', 'a', 'iot')", "knows 'DescribeThing' only")]:
        code, _, message = refused(iot.create_topic_rule, ruleName="r", topicRulePayload=to_stream(f"SELECT {call} AS x FROM 't'"))
        assert code == "SqlParseException" and why in message


def test_policies_and_roles_say_which(make_weir):
    allow = {"Effect": "Allow", "Action": "iot:GetThingShadow", "Resource": "arn:aws:iot:*:*:thing/a*"}
    weir = make_weir(rule_config(roles={"iot": {"statement": [allow, {
        "Effect": "Allow", "Action": "kinesis:PutRecord", "Resource": "*"}]}}))
    iot, data_plane = client(weir), client(weir, "iot-data")
    assert ROLE.endswith("/iot")
    iot.create_topic_rule(ruleName="r", topicRulePayload=to_stream(
        f"SELECT get_thing_shadow(topic(2), '{ROLE}').state.reported.n AS n FROM 'reading/+'"))
    for thing in ["a1", "b1"]:
        update(data_plane, thing, {"reported": {"n": 1}})
        publish(weir, READING, f"reading/{thing}")
    assert [json.loads(text) for text in data(weir)] == [{"n": 1}]
