#include "aws/test_world.h"

#define ON_S "{'StreamARN':'" WORLD_ARN "s'"

static void a_consumer_is_registered_described_and_dropped(void **state) {
    struct world *world = world_with_stream();
    world_ok(world, "RegisterStreamConsumer", ON_S ",'ConsumerName':'c'}");
    assert_text(world, "Consumer.ConsumerStatus", "ACTIVE");
    char *arn = world_keep(world, "Consumer.ConsumerARN");
    assert_true(str_starts(str_of(arn), STR(WORLD_ARN "s/consumer/c:")));
    assert_refused(world, "RegisterStreamConsumer", ON_S ",'ConsumerName':'c'}",
                   "ResourceInUseException",
                   "Consumer c under stream s already exists for account 000000000000.");
    world_restart(world);
    world_okf(world, "DescribeStreamConsumer", "{'ConsumerARN':'%s'}", arn);
    assert_text(world, "ConsumerDescription.StreamARN", WORLD_ARN "s");
    world_ok(world, "DescribeStreamConsumer", ON_S ",'ConsumerName':'c'}");
    assert_text(world, "ConsumerDescription.ConsumerARN", arn);
    world_call(world, "DeleteStream", "{'StreamName':'s'}");
    assert_text(world, "__type", "ResourceInUseException");
    world_okf(world, "DeregisterStreamConsumer", "{'ConsumerARN':'%s'}", arn);
    world_callf(world, "DescribeStreamConsumer", "{'ConsumerARN':'%s'}", arn);
    assert_text(world, "__type", "ResourceNotFoundException");
    world_call(world, "DescribeStreamConsumer", ON_S "}");
    assert_text(world, "__type", "InvalidArgumentException");
    free(arn);
    world_end(world);
}

static void consumers_are_listed_in_pages(void **state) {
    struct world *world = world_with_stream();
    static const char *const names[] = {"b", "a", "c"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        world_okf(world, "RegisterStreamConsumer", ON_S ",'ConsumerName':'%s'}", names[i]);
    world_ok(world, "ListStreamConsumers", ON_S ",'MaxResults':2}");
    assert_int_equal(world_count(world, "Consumers"), 2);
    assert_text(world, "Consumers.0.ConsumerName", "a");
    char *token = world_keep(world, "NextToken");
    world_okf(world, "ListStreamConsumers", ON_S ",'NextToken':'%s'}", token);
    assert_int_equal(world_count(world, "Consumers"), 1);
    assert_text(world, "Consumers.0.ConsumerName", "c");
    assert_false(world_has(world, "NextToken"));
    free(token);
    world_end(world);
}

static void twenty_are_the_limit(void **state) {
    struct world *world = world_with_stream();
    for (int i = 0; i < 20; i++)
        world_okf(world, "RegisterStreamConsumer", ON_S ",'ConsumerName':'c%d'}", i);
    world_call(world, "RegisterStreamConsumer", ON_S ",'ConsumerName':'more'}");
    assert_text(world, "__type", "LimitExceededException");
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consumer_is_registered_described_and_dropped),
        cmocka_unit_test(consumers_are_listed_in_pages),
        cmocka_unit_test(twenty_are_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
