#include "aws/test_world.h"

static void tags_are_set_replaced_listed_and_removed(void **state) {
    struct world *world = world_with_stream();
    world_ok(world, "AddTagsToStream", "{'StreamName':'s','Tags':{'b':'2','a':'1','c':''}}");
    world_ok(world, "AddTagsToStream", "{'StreamName':'s','Tags':{'b':'22'}}");
    world_ok(world, "ListTagsForStream", "{'StreamName':'s','Limit':2}");
    assert_text(world, "Tags.0.Key", "a");
    assert_text(world, "Tags.1.Value", "22");
    assert_int_equal(world_count(world, "Tags"), 2);
    assert_int_equal(json_type(world_value(world, "HasMoreTags")), JSON_TRUE);
    world_ok(world, "ListTagsForStream", "{'StreamName':'s','ExclusiveStartTagKey':'b'}");
    assert_int_equal(world_count(world, "Tags"), 1);
    assert_text(world, "Tags.0.Key", "c");
    world_ok(world, "RemoveTagsFromStream", "{'StreamName':'s','TagKeys':['a','none']}");
    world_restart(world);
    world_ok(world, "ListTagsForResource", "{'ResourceARN':'" WORLD_ARN "s'}");
    assert_int_equal(world_count(world, "Tags"), 2);
    world_end(world);
}

static void fifty_are_the_limit_and_nothing_is_half_done(void **state) {
    struct world *world = world_with_stream();
    struct buf input = {0};
    buf_add_str(&input, STR("{'StreamName':'s','Tags':{"));
    for (int i = 0; i < 51; i++)
        buf_printf(&input, "%s'k%d':'v'", i ? "," : "", i);
    buf_add_str(&input, STR("}}"));
    world_call(world, "AddTagsToStream", buf_cstr(&input));
    assert_text(world, "__type", "InvalidArgumentException");
    world_call(world, "AddTagsToStream", "{'StreamName':'s','Tags':{'ok':'1','no%':'2'}}");
    assert_text(world, "__type", "InvalidArgumentException");
    world_ok(world, "ListTagsForStream", "{'StreamName':'s'}");
    assert_int_equal(world_count(world, "Tags"), 0);
    buf_done(&input);
    world_end(world);
}

static void consumers_carry_tags_too(void **state) {
    struct world *world = world_with_stream();
    world_ok(world, "RegisterStreamConsumer",
             "{'StreamARN':'" WORLD_ARN "s','ConsumerName':'c','Tags':{'x':'y'}}");
    char *arn = world_keep(world, "Consumer.ConsumerARN");
    world_okf(world, "TagResource", "{'ResourceARN':'%s','Tags':{'z':'1'}}", arn);
    world_okf(world, "UntagResource", "{'ResourceARN':'%s','TagKeys':['x']}", arn);
    world_okf(world, "ListTagsForResource", "{'ResourceARN':'%s'}", arn);
    assert_int_equal(world_count(world, "Tags"), 1);
    assert_text(world, "Tags.0.Key", "z");
    world_ok(world, "ListTagsForStream", "{'StreamName':'s'}");
    assert_int_equal(world_count(world, "Tags"), 0);
    free(arn);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_are_set_replaced_listed_and_removed),
        cmocka_unit_test(fifty_are_the_limit_and_nothing_is_half_done),
        cmocka_unit_test(consumers_carry_tags_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
