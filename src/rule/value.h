/*
 * The values of the SQL dialect and what the dialect does with them: conversion, comparison,
 * arithmetic, JSON out.
 *
 * A value is passed by value and owns nothing: its text, array or object lies in the payload, in
 * the plan or in the arena of the evaluation, and lives as long as that evaluation. Arrays and
 * objects are either views into parsed JSON or built. Nothing here fails: what cannot be done gives
 * Undefined, as the dialect wants.
 *
 * Numbers: an Int is a whole number of at most 34 digits, a Decimal any other number (number.h). In
 * version 2016-03-23 every whole number is an Int, in 2015-10-08 what was written as a Decimal stays
 * one. A Decimal keeps the text in which it was written as long as it is only passed on; one of the
 * payload that the dialect has no room for can be passed on and nothing else.
 */
#ifndef RULE_VALUE_H
#define RULE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/str.h"
#include "rule/number.h"

struct evaluation;

enum rule_version { RULE_VERSION_2015_10_08, RULE_VERSION_2016_03_23 };

enum value_type {
    VALUE_UNDEFINED,
    VALUE_NULL,
    VALUE_BOOLEAN,
    VALUE_INT,
    VALUE_DECIMAL,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_OBJECT,
};

struct value_array;
struct value_object;

struct value {
    enum value_type type;
    bool view;   /* array, object: `json`, else `array` or `object` */
    bool beyond; /* decimal: outside of the dialect's range, `text` alone says what it is */
    union {
        bool boolean;
        struct number number;
        struct json_value json;
        struct value_array *array;
        struct value_object *object;
    };
    struct str text; /* string; decimal: as it was written, empty if computed */
};

/* What is built holds nothing Undefined. */
struct value_array {
    size_t count;
    struct value items[];
};

struct value_member {
    struct str key;
    struct value value;
};

struct value_object {
    size_t count, cap;
    struct value_member members[];
};

static inline struct value value_undefined(void) {
    return (struct value){.type = VALUE_UNDEFINED};
}

static inline struct value value_null(void) {
    return (struct value){.type = VALUE_NULL};
}

static inline struct value value_boolean(bool boolean) {
    return (struct value){.type = VALUE_BOOLEAN, .boolean = boolean};
}

static inline struct value value_int(int64_t integer) {
    return (struct value){.type = VALUE_INT, .number = number_int(integer)};
}

static inline struct value value_string(struct str text) {
    return (struct value){.type = VALUE_STRING, .text = text};
}

static inline bool value_is_number(struct value value) {
    return value.type == VALUE_INT || value.type == VALUE_DECIMAL;
}

/* An Int if it is whole, except that a Decimal of 2015-10-08 stays one. */
struct value rule_value_of_number(enum rule_version version, struct number number);

/* An Int if it is whole. */
struct value rule_value_of_whole(struct number number);

/* Undefined if it is not finite. */
struct value rule_value_of_double(enum rule_version version, double from);

/* A number as JSON or the dialect writes it; the text is kept. */
struct value rule_value_read_number(enum rule_version version, struct str text);

struct value rule_value_from_json(struct evaluation *evaluation, struct json_value json);

/* As Decimal (reference: conversions): numbers as they are, strings by the pattern; else false. */
bool rule_value_to_number(struct evaluation *evaluation, struct value value,
                          struct value *ret_number);

/* Whole: numbers, and strings by way of Decimal, rounded as the caller says; NUMBER_NEAREST cuts
 * strings, as the dialect's own conversion does. False for all else. */
bool rule_value_to_whole(struct evaluation *evaluation, struct value value,
                         enum number_rounding rounding, struct number *ret_whole);

/* The same within int64: what is beyond becomes the end of it. */
bool rule_value_to_int(struct evaluation *evaluation, struct value value,
                       enum number_rounding rounding, int64_t *ret_integer);

/* Booleans, and the strings "true" and "false" in any case. */
bool rule_value_to_boolean(struct value value, bool *ret_boolean);

/* False for Null and Undefined. An empty text is a view too, not NULL. */
bool rule_value_to_string(struct evaluation *evaluation, struct value value, struct str *ret_text);

/* Appends the same text; nothing for Null and Undefined. */
void rule_value_add_text(struct evaluation *evaluation, struct buf *out, struct value value);

/* As JSON; Undefined is nothing. */
void rule_value_write(struct evaluation *evaluation, struct buf *out, struct value value);

/* The same for a value of the payload. */
void rule_value_write_json(struct evaluation *evaluation, struct buf *out, struct json_value json);

/* Of an object; Undefined if there is none. */
struct value rule_value_member(struct evaluation *evaluation, struct value value, struct str key);

/* get(value, index): the item of an array, the character of a string. */
struct value rule_value_item(struct evaluation *evaluation, struct value value, int64_t index);

/* All items or members: for (cursor = rule_value_each(v); rule_value_next(evaluation, &cursor);)
 * cursor.key, cursor.value */
struct value_cursor {
    struct value key_of; /* what is gone through */
    struct json_cursor json;
    size_t next;
    struct str key;
    struct value value;
};

struct value_cursor rule_value_each(struct value value);
bool rule_value_next(struct evaluation *evaluation, struct value_cursor *cursor);

/* Items of an array, members of an object, else 0. */
size_t rule_value_count(struct value value);

/* Room for `cap` items, of which none is counted yet; NULL if the evaluation has no room left. */
struct value_array *rule_value_array_new(struct evaluation *evaluation, size_t cap);
struct value_object *rule_value_object_new(struct evaluation *evaluation, size_t cap);

/* Sets a member, in the place of one of the same name. There must be room. */
void rule_value_object_set(struct evaluation *evaluation, struct value_object *object,
                           struct str key, struct value value);

static inline struct value value_of_array(struct value_array *array) {
    return array ? (struct value){.type = VALUE_ARRAY, .array = array} : value_undefined();
}

static inline struct value value_of_object(struct value_object *object) {
    return object ? (struct value){.type = VALUE_OBJECT, .object = object} : value_undefined();
}

/* Operators (operator.c). */
enum value_comparison { VALUE_LESS, VALUE_LESS_EQUAL, VALUE_GREATER, VALUE_GREATER_EQUAL };
enum value_arithmetic { VALUE_SUBTRACT, VALUE_MULTIPLY, VALUE_DIVIDE, VALUE_MODULO };

/* Neither may be Undefined. */
bool rule_value_equal(struct evaluation *evaluation, struct value a, struct value b);
struct value rule_value_compare(struct evaluation *evaluation, enum value_comparison how,
                                struct value a, struct value b);
struct value rule_value_add(struct evaluation *evaluation, struct value a, struct value b);
struct value rule_value_arithmetic(struct evaluation *evaluation, enum value_arithmetic how,
                                   struct value a, struct value b);
struct value rule_value_negate(struct evaluation *evaluation, struct value value);
struct value rule_value_in(struct evaluation *evaluation, struct value value, struct value array);

enum value_cast {
    VALUE_CAST_STRING,
    VALUE_CAST_INT,
    VALUE_CAST_DECIMAL,
    VALUE_CAST_DOUBLE,
    VALUE_CAST_BOOLEAN
};
struct value rule_value_cast(struct evaluation *evaluation, enum value_cast type,
                             struct value value);

#endif
