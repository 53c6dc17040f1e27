/* What a compiled pattern of time_to_epoch() is made of: time_pattern.c makes it, time_parse.c goes
 * through it. */
#ifndef RULE_TIME_ELEMENT_H
#define RULE_TIME_ELEMENT_H

#include "rule/time_parse.h"

enum { ELEMENT_DEPTH_MAX = 16 }; /* of [ ] within one another */

enum element_kind {
    ELEMENT_TEXT,
    ELEMENT_NUMBER,
    ELEMENT_NAME, /* of a month, a weekday, an era, a quarter, a half of the day */
    ELEMENT_ZONE,
    ELEMENT_OFFSET,      /* x: +hh .. +hh:mm:ss by `count` */
    ELEMENT_OFFSET_OR_Z, /* X: the same, or Z */
    ELEMENT_GMT_OFFSET,  /* GMT, GMT+8, GMT+08:00 */
    ELEMENT_OPTIONAL,    /* what follows up to its end may be missing */
    ELEMENT_OPTIONAL_END,
};

enum element_sign {
    SIGN_NONE,
    SIGN_MINUS,   /* a minus may stand before it */
    SIGN_EXCEEDS, /* and a plus must, when there are more digits than `min` */
};

struct element {
    enum element_kind kind;
    enum jdk_field field;
    enum element_sign sign;
    unsigned count;     /* of letters */
    unsigned min, max;  /* digits */
    unsigned following; /* digits that belong to the numbers behind it */
    unsigned pad;       /* width with blanks before it; 0: none */
    bool two_thousand;  /* two digits of a year 20xx */
    bool fraction;      /* digits of a second behind the point */
    struct str text;
};

struct jdk_pattern {
    size_t count;
    struct element elements[];
};

#endif
