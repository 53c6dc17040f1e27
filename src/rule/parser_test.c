#include "base/test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "rule/parser.h"

/* The tree as nested lists, to show what binds to what. */
static void show(struct buf *out, const struct ast_node *node) {
    static const char *const names[] = {
        "null", "true", "false", "",  "",     "*",    "",     "@",      ".",     "[]",    "neg",
        "not",  "and",  "or",    "=", "<>",   "<",    "<=",   ">",      ">=",    "in",    "+",
        "-",    "*",    "/",     "%", "call", "cast", "case", "object", "array", "query", "exists",
    };
    if (node->key.len)
        buf_printf(out, "%.*s:", STR_ARG(node->key));
    if (!node->first && node->kind != AST_CALL && node->kind != AST_ARRAY &&
        node->kind != AST_OBJECT) {
        buf_printf(out, "%s", names[node->kind]);
        if (node->kind > AST_FALSE && node->kind < AST_MEMBER && node->kind != AST_STAR)
            buf_printf(out, "%.*s", STR_ARG(node->text));
        return;
    }
    buf_printf(out, "(%s", names[node->kind]);
    if (node->kind == AST_CALL || node->kind == AST_MEMBER || node->kind == AST_CAST)
        buf_printf(out, " %.*s", STR_ARG(node->text));
    for (const struct ast_node *child = node->first; child; child = child->next) {
        buf_add_u8(out, ' ');
        show(out, child);
    }
    buf_add_u8(out, ')');
}

static void expressions_bind_as_in_ordinary_sql(void **state) {
    static const struct {
        const char *text, *tree;
    } cases[] = {
        {"a + b * c", "(+ a (* b c))"},
        {"a - b - c", "(- (- a b) c)"},
        {"-a * b", "(* (neg a) b)"},
        {"(a + b) * c", "(* (+ a b) c)"},
        {"a = 1 AND b <> 2 OR NOT c", "(or (and (= a 1) (<> b 2)) (not c))"},
        {"NOT a = b", "(not (= a b))"},
        {"a OR b AND c", "(or a (and b c))"},
        {"1 + 2 < 3 * 4", "(< (+ 1 2) (* 3 4))"},
        {"a.b.c", "(. c (. b a))"},
        {"a.select", "(. select a)"},
        {"f(x).y[0]", "([] (. y (call f x)) 0)"},
        {"topic()", "(call topic)"},
        {"f(*, 'x', 1)", "(call f * x 1)"},
        {"x IN [1, 2]", "(in x (array 1 2))"},
        {"{'a': 1, \"b\": {},}", "(object a:1 b:(object))"},
        {"CAST(a AS Int)", "(cast Int a)"},
        {"CASE a WHEN 1 THEN 2 WHEN 3 THEN 4 ELSE 5 END", "(case a 1 2 3 4 5)"},
        {"@x + TRUE", "(+ @x true)"},
        {"value", "value"},
    };
    struct arena arena = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out = {0};
        struct ast_node *node = NULL;
        struct err err = {0};
        size_t end;
        char *text = xprintf("%s} rest", cases[i].text);
        int result = rule_parse_template(&arena, str_of(text), 0, &node, &end, &err);
        if (result < 0)
            fail_msg("%s: %s", cases[i].text, err.text);
        assert_int_equal(end, strlen(cases[i].text) + 1);
        show(&out, node);
        assert_str(buf_str(&out), cases[i].tree);
        buf_done(&out);
        free(text);
    }
    arena_done(&arena);
}

static void statements(void **state) {
    struct arena arena = {0};
    struct err err = {0};
    struct ast_select *select;
    assert_int_equal(rule_parse_statement(
                         &arena,
                         STR("SET @a = 1, @b = 2 SELECT *, x.y AS p.q FROM 'a/+/#'\n WHERE x > 1"),
                         &select, &err),
                     0);
    assert_str(select->filter, "a/+/#");
    assert_int_equal(select->item_count, 2);
    assert_int_equal(select->items->expression->kind, AST_STAR);
    assert_int_equal(select->items->next->alias_count, 2);
    assert_str(select->items->next->alias[1], "q");
    assert_str(select->variables->next->name, "b");
    assert_int_equal(select->where->kind, AST_GREATER);

    assert_int_equal(
        rule_parse_statement(&arena, STR("select value x from a/b where true"), &select, &err), 0);
    assert_true(select->value);
    assert_str(select->filter, "a/b");

    assert_int_equal(rule_parse_statement(&arena, STR("SELECT value FROM \"t\""), &select, &err),
                     0);
    assert_false(select->value);
    assert_str(select->items->expression->text, "value");

    assert_int_equal(rule_parse_statement(&arena, STR("SELECT *"), &select, &err), 0);
    assert_false(select->has_from);

    assert_int_equal(
        rule_parse_statement(&arena,
                             STR("SELECT (SELECT VALUE a FROM x.y AS e WHERE a > 1) AS v FROM 't'"),
                             &select, &err),
        0);
    assert_int_equal(select->items->expression->kind, AST_QUERY);
    assert_str(select->items->expression->select->element, "e");
    assert_int_equal(select->items->expression->select->source->kind, AST_MEMBER);
    arena_done(&arena);
}

static void errors_say_where_and_what(void **state) {
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"", "1:1: expected SELECT before \"the end\""},
        {"SELEC *", "1:1: expected SELECT before \"SELEC\""},
        {"SELECT", "1:7: expected a value before \"the end\""},
        {"SELECT * FROM", "1:10: FROM needs a topic filter in quotes"},
        {"SELECT * FROM 'a' LIMIT 1",
         "1:19: expected an operator, FROM, WHERE or the end before \"LIMIT\""},
        {"SELECT a AS FROM 'a'", "1:18: expected an operator, FROM, WHERE or the end before \"a\""},
        {"SELECT a.0 FROM 'a'",
         "1:10: expected a member's name (get(value, \"name\") reaches any other) before \"0\""},
        {"SELECT VALUE a, b FROM 't'", "1:15: SELECT VALUE takes exactly one expression"},
        {"SELECT VALUE a AS b FROM 't'",
         "1:16: expected FROM, for SELECT VALUE takes no alias, before \"AS\""},
        {"SELECT\n  (a FROM 't'", "2:6: expected ) before \"FROM\""},
        {"SELECT a FROM 't' WHERE a < b < c",
         "1:31: comparisons cannot be chained; join them with AND"},
        {"SELECT CASE WHEN a THEN b END AS c FROM 't'",
         "1:13: CASE needs a value before WHEN; conditions are compared with it: CASE x > 1 WHEN "
         "true ..."},
        {"SELECT CASE a WHEN 1 END AS c FROM 't'", "1:22: expected THEN before \"END\""},
        {"SELECT CASE a END AS c FROM 't'", "1:15: expected WHEN before \"END\""},
        {"SELECT f(a,) AS x FROM 't'", "1:12: expected a value before \")\""},
        {"SELECT {a: 1} AS x FROM 't'", "1:9: expected a member's name in quotes before \"a\""},
        {"SELECT EXISTS (1) AS x FROM 't'",
         "1:8: EXISTS needs a nested query: EXISTS (SELECT ...)"},
        {"SELECT (SELECT a) AS x FROM 't'", "1:17: expected FROM before \")\""},
        {"SET x = 1 SELECT * FROM 't'", "1:5: expected a variable (@name) before \"x\""},
        {"SELECT *.a FROM 't'", "1:9: expected the end of * before \".\""},
        {"SELECT where FROM 't'", "1:8: expected a value before \"where\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena = {0};
        struct err err = {0};
        struct ast_select *select;
        assert_int_equal(rule_parse_statement(&arena, str_of(cases[i].sql), &select, &err),
                         ERR_INVALID);
        assert_string_equal(err.text, cases[i].text);
        arena_done(&arena);
    }
}

static int parse_repeated(const char *head, const char *unit, int times, const char *tail,
                          struct err *err) {
    struct buf sql = {0};
    struct arena arena = {0};
    struct ast_select *select;
    buf_printf(&sql, "SELECT VALUE %s", head);
    for (int i = 0; i < times; i++)
        buf_printf(&sql, "%s", unit);
    buf_printf(&sql, "%s", tail);
    int result = rule_parse_statement(&arena, buf_str(&sql), &select, err);
    buf_done(&sql);
    arena_done(&arena);
    return result;
}

static void depth_and_size_are_bounded(void **state) {
    struct err err;
    assert_int_equal(parse_repeated("", "(", 100000, "", &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "within one another"));
    assert_int_equal(parse_repeated("1", "+1", 60000, "", &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "within one another"));
    assert_int_equal(parse_repeated("a", ".a", 60000, "", &err), ERR_INVALID);
    assert_int_equal(parse_repeated("[1", ",1", 60000, "]", &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "too long"));
    assert_int_equal(parse_repeated("1", "          ", 60000, "", &err), ERR_TOO_LARGE);
    assert_int_equal(parse_repeated("1", "+1", 200, "", &err), 0);
    assert_int_equal(parse_repeated("[1", ",1", 5000, "]", &err), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_bind_as_in_ordinary_sql),
        cmocka_unit_test(statements),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(depth_and_size_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
