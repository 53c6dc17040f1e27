#include "rule/sql_test.h"

#include "base/mem.h"
#include "rule/conf_test.h"

static struct rule_secrets *make_secrets(void) {
    struct rule_secrets *secrets = rule_secrets_new();
    rule_secrets_add(secrets, "db", STR("{\"user\":\"u\",\"password\":\"p\",\"port\":5432}"));
    rule_secrets_add(secrets, "text", STR("top secret"));
    rule_secrets_add(secrets, "bytes", STR("\x01\x02\xff"));
    return secrets;
}

static void check(const struct rule_surroundings *surroundings, const char *expression,
                  const char *expected) {
    char *sql = xprintf("SELECT VALUE %s FROM 'dev/#'", expression);
    char *got = sql_result_with(surroundings, RULE_VERSION_2016_03_23, sql,
                                test_message(STR("{\"id\":\"db\"}")));
    if (strcmp(got, expected) != 0)
        fail_msg("%s gives %s, not %s", expression, got, expected);
    free(got);
    free(sql);
}

#define ARN "arn:aws:secretsmanager:us-east-1:000000000000:secret:"

static void secrets_as_text_member_and_bytes(void **state) {
    struct rule_surroundings surroundings = {.secrets = make_secrets()};
    static const struct {
        const char *expression, *expected;
    } cases[] = {
        {"get_secret('db', 'SecretString', 'password', 'r')", "\"p\""},
        {"get_secret(id, 'SecretString', 'port', 'r')", "5432"},
        {"get_secret('db', 'SecretString', 'r').user", "\"u\""},
        {"get_secret('text', 'SecretString', 'r')", "\"top secret\""},
        {"get_secret('bytes', 'SecretBinary', 'r')", "\"AQL/\""},
        {"get_secret('" ARN "db', 'SecretString', 'user', 'r')", "\"u\""},
        {"get_secret('" ARN "db-Ab12Cd', 'SecretString', 'user', 'r')", "\"u\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check(&surroundings, cases[i].expression, cases[i].expected);
    rule_secrets_unref(surroundings.secrets);
}

static void what_fails_gives_nothing_at_all(void **state) {
    struct rule_surroundings surroundings = {.secrets = make_secrets()}, none = {0};
    check(&none, "get_secret('db', 'SecretString', 'r')", "get_secret: there is no secret \"db\"");
    check(&surroundings, "get_secret('none', 'SecretString', 'r')",
          "get_secret: there is no secret \"none\"");
    check(&surroundings, "get_secret('text', 'SecretString', 'key', 'r')",
          "get_secret: the secret is no JSON object with the key \"key\"");
    check(&surroundings, "get_secret('db', 'SecretString', 'key', 'r')",
          "get_secret: the secret is no JSON object with the key \"key\"");
    check(&surroundings, "get_secret('db', 'Other', 'r')",
          "get_secret: with a key only SecretString is possible, without one also SecretBinary; "
          "not \"Other\"");
    check(&surroundings, "get_secret(missing, 'SecretString', 'r')",
          "get_secret: an argument has no text: \"\"");
    /* Outside of the value as well: in WHERE, and beside what does not fail. */
    char *got =
        sql_result_with(&surroundings, RULE_VERSION_2016_03_23,
                        "SELECT * FROM 'dev/#' WHERE get_secret('x', 'SecretString', 'r') = 1",
                        test_message(STR("{}")));
    assert_string_equal(got, "get_secret: there is no secret \"x\"");
    free(got);
    rule_secrets_unref(surroundings.secrets);
}

static void get_or_default_catches(void **state) {
    struct rule_surroundings surroundings = {.secrets = make_secrets()};
    check(&surroundings, "get_or_default(get_secret('none', 'SecretString', 'r'), 'd')", "\"d\"");
    check(&surroundings, "get_or_default(get_secret('text', 'SecretString', 'r'), 'd')",
          "\"top secret\"");
    check(&surroundings,
          "[get_secret('none', 'SecretString', 'r'), get_or_default(get_secret('x', "
          "'SecretString', 'r'), 1)]",
          "get_secret: there is no secret \"none\"");
    rule_secrets_unref(surroundings.secrets);
}

static void a_role_says_who_may_read(void **state) {
    struct conf_test test = {0};
    struct rule_surroundings surroundings = {.secrets = make_secrets()};
    assert_int_equal(
        json_parse(&test.json,
                   STR("{\"r\":{\"statement\":{\"effect\":\"Allow\",\"action\":"
                       "\"secretsmanager:GetSecretValue\",\"resource\":\"" ARN "d*\"}}}")),
        0);
    assert_int_equal(rule_roles_compile(conf_test_tree(&test, json_root(&test.json)), "us-east-1",
                                        "000000000000", &surroundings.roles, &test.err),
                     0);
    conf_test_done(&test);
    check(&surroundings, "get_secret('db', 'SecretString', 'user', 'r')", "\"u\"");
    check(&surroundings, "get_secret('text', 'SecretString', 'r')",
          "the role r does not allow secretsmanager:GetSecretValue on " ARN "text");
    check(&surroundings, "get_secret('db', 'SecretString', 'x')",
          "get_secret: there is no role \"x\"");
    rule_roles_unref(surroundings.roles);
    rule_secrets_unref(surroundings.secrets);
}

static void shadows_and_things_are_read(void **state) {
    static const struct rule_surroundings none;
    static const struct {
        const char *expression, *expected;
    } cases[] = {
        {"get_thing_shadow('lamp', 'r').state.reported.of", "\"classic\""},
        {"get_thing_shadow('lamp', 'n', 'r').state.reported.of", "\"n\""},
        {"get_thing_shadow('lamp', 'r')",
         "{\"state\":{\"reported\":{\"on\":true,\"of\":\"classic\"}}}"},
        {"get_registry_data('DescribeThing', 'lamp', 'r').attributes.room", "\"k\""},
        {"get_thing_shadow(id, 'r')", "get_thing_shadow: there is no shadow \"db\""},
        {"get_thing_shadow('lamp', 'x', 'r')", "get_thing_shadow: there is no shadow \"lamp/x\""},
        {"get_thing_shadow('lamp', '', 'r')", "get_thing_shadow: an argument has no text: \"\""},
        {"get_thing_shadow(missing, 'r')", "get_thing_shadow: an argument has no text: \"\""},
        {"get_thing_shadow('broken', 'r')", "get_thing_shadow: input or output failed \"broken\""},
        {"get_registry_data('DescribeThing', id, 'r')",
         "get_registry_data: there is no thing \"db\""},
        {"get_or_default(get_thing_shadow('x', 'r').state, 'd')", "\"d\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check(&none, cases[i].expression, cases[i].expected);
}

/* For one message a shadow has one state, however often it is asked for; and only so many are read. */
static void each_is_read_once(void **state) {
    static const struct rule_surroundings none;
    test_reads = 0;
    check(&none,
          "[get_thing_shadow('lamp', 'r').state.reported.on, "
          "get_thing_shadow('lamp', 'r').state.reported.on, "
          "get_registry_data('DescribeThing', 'lamp', 'r').thingName]",
          "[true,true,\"lamp\"]");
    assert_int_equal(test_reads, 2);
    char sql[1000] = "[get_registry_data('DescribeThing', 'lamp', 'r').thingName";
    for (int i = 0; i < 8; i++)
        strcat(sql, ", get_or_default(get_thing_shadow('lamp', 'n', 'r'), 1).x");
    strcat(sql, "]");
    check(&none, sql, "[\"lamp\"]");
    assert_int_equal(test_reads, 4);
}

static void a_role_says_which_shadows_may_be_read(void **state) {
    struct conf_test test = {0};
    struct rule_surroundings surroundings = {0};
    assert_int_equal(
        json_parse(&test.json, STR("{\"r\":{\"statement\":{\"effect\":\"Allow\",\"action\":"
                                   "\"iot:GetThingShadow\",\"resource\":"
                                   "\"arn:aws:iot:us-east-1:000000000000:thing/lamp\"}}}")),
        0);
    assert_int_equal(rule_roles_compile(conf_test_tree(&test, json_root(&test.json)), "us-east-1",
                                        "000000000000", &surroundings.roles, &test.err),
                     0);
    conf_test_done(&test);
    check(&surroundings, "get_thing_shadow('lamp', 'r').state.reported.on", "true");
    check(&surroundings, "get_thing_shadow('lamp', 'n', 'r')",
          "the role r does not allow iot:GetThingShadow on "
          "arn:aws:iot:us-east-1:000000000000:thing/lamp/n");
    check(&surroundings, "get_registry_data('DescribeThing', 'lamp', 'r')",
          "the role r does not allow iot:DescribeThing on "
          "arn:aws:iot:us-east-1:000000000000:thing/lamp");
    check(&surroundings, "get_thing_shadow('lamp', 'x')",
          "get_thing_shadow: there is no role \"x\"");
    rule_roles_unref(surroundings.roles);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_as_text_member_and_bytes),
        cmocka_unit_test(what_fails_gives_nothing_at_all),
        cmocka_unit_test(get_or_default_catches),
        cmocka_unit_test(a_role_says_who_may_read),
        cmocka_unit_test(shadows_and_things_are_read),
        cmocka_unit_test(each_is_read_once),
        cmocka_unit_test(a_role_says_which_shadows_may_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
