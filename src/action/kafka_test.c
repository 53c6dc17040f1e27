/*
 * Against librdkafka's own mock of a cluster, which its producer brings along
 * (test.mock.num.brokers). Brokers that go away in the middle of a batch are asked for in
 * tests/e2e/test_store_faults.py.
 */
#include "action/target_rig_test.h"

#include "action/kinds.h"

#define MOCK "'bootstrap.servers':'127.0.0.1:1','test.mock.num.brokers':'1'"

static void begin(struct target_rig *rig, const char *properties) {
    char *text = xprintf("{'client_properties':{%s},'topic':'${topic(1)}','key':'k',"
                         "'partition':'${p}','headers':[{'key':'unit','value':'${unit}'}]}",
                         properties);
    rig_begin(rig, &action_kafka, text);
    free(text);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        rig_param(rig, i, "topic", "t");
        rig_param(rig, i, "key", "k");
    }
}

static void a_batch_is_taken(void **state) {
    struct target_rig rig;
    begin(&rig, MOCK);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        rig_param(&rig, i, "partition", i % 2 ? "1" : "");
        rig_param(&rig, i, "header.unit", "V");
    }
    rig_deliver(&rig, "ooooo");
    rig_end(&rig);
}

static void what_kafka_never_takes_fails_alone(void **state) {
    struct target_rig rig;
    static char large[4096];
    memset(large, 'x', sizeof large);
    begin(&rig, MOCK ",'message.max.bytes':'2000'");
    rig_param(&rig, 1, "partition", "one");
    rig_param(&rig, 2, "partition", "12345678901");
    rig.items[3].record.payload = str_from(large, sizeof large);
    rig_deliver(&rig, "offfo");
    rig_expect_why(&rig, 1, "partition \"one\" is no number of one");
    rig_expect_why(&rig, 3, "too large");
    rig_end(&rig);
}

/* As a value of a message may say. */
static void a_partition_that_the_topic_has_not(void **state) {
    struct target_rig rig;
    begin(&rig, MOCK);
    rig_param(&rig, 1, "partition", "999");
    rig_deliver(&rig, "ofooo");
    rig_end(&rig);
}

static void what_nobody_took_in_time_comes_again(void **state) {
    struct target_rig rig;
    begin(&rig, "'bootstrap.servers':'127.0.0.1:1','message.timeout.ms':'300','acks':'1'");
    rig_deliver(&rig, "rrrrr");
    rig_end(&rig);
}

/* No item is settled any more, and nothing is left of librdkafka's threads. */
static void it_closes_while_a_batch_is_under_way(void **state) {
    struct target_rig rig;
    begin(&rig, "'bootstrap.servers':'127.0.0.1:1'");
    rig_send(&rig);
    rig_end(&rig);
    rig_expect(&rig, "-----");
}

static void settings_that_cannot_be(void **state) {
    rig_refuses(&action_kafka, "{'client_properties':{'acks':'1'},'topic':'t'}",
                "client_properties must say bootstrap.servers");
    rig_refuses(&action_kafka, "{'client_properties':{" MOCK ",'linger':'5'},'topic':'t'}",
                "linger");
    rig_refuses(&action_kafka, "{'client_properties':{" MOCK ",'acks':'many'},'topic':'t'}",
                "acks");
    rig_refuses(&action_kafka,
                "{'client_properties':{" MOCK ",'sasl.password':'${get_secret(1)}'},'topic':'t'}",
                "client_properties are no templates");
    char key[300], text[500];
    memset(key, 'k', sizeof key);
    snprintf(text, sizeof text,
             "{'client_properties':{" MOCK
             "},'topic':'t','headers':[{'key':'%.250s','value':'v'}]}",
             key);
    rig_refuses(&action_kafka, text, "a header's key has at most 240 bytes");
}

/* As AWS's clients must write it. */
static void keys_of_aws_are_taken(void **state) {
    struct target_rig rig;
    rig_begin(&rig, &action_kafka,
              "{'destination_arn':'arn:aws:iot:us-east-1:000000000000:ruledestination/vpc/x',"
              "'topic':'t','client_properties':{" MOCK ",'acks':'1','compression.type':'zstd',"
              "'key.serializer':'org.apache.kafka.common.serialization.StringSerializer',"
              "'value.serializer':'org.apache.kafka.common.serialization.ByteBufferSerializer'}}");
    rig_end(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_taken),
        cmocka_unit_test(what_kafka_never_takes_fails_alone),
        cmocka_unit_test(a_partition_that_the_topic_has_not),
        cmocka_unit_test(what_nobody_took_in_time_comes_again),
        cmocka_unit_test(it_closes_while_a_batch_is_under_way),
        cmocka_unit_test(settings_that_cannot_be),
        cmocka_unit_test(keys_of_aws_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
