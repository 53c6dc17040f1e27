/* What a handler or an init has to say, as lambda_run() sees it. Internal to liblambda. */
#ifndef LAMBDA_RESULT_H
#define LAMBDA_RESULT_H

#include <stdbool.h>

#include "buf.h"
#include "lambda.h"

struct lambda_result {
    bool answered; /* else the body is `null` */
    struct lambda_buf body;
    char content_type[128];
    char error_type[128]; /* empty: lambda_fail() was not called */
    struct lambda_buf error_message;
};

/* Empty, as a handler finds it. Valid on a zeroed result; keeps its memory. */
void lambda_result_begin(struct lambda_result *result);

void lambda_result_done(struct lambda_result *result);

/* Fills in an error for a handler that returned `code` and did not say why. */
void lambda_result_explain(struct lambda_result *result, const char *who, int code);

/* Appends the error as the Runtime API wants it: {"errorMessage","errorType","stackTrace":[]}. */
void lambda_result_write_error(const struct lambda_result *result, struct lambda_buf *buf);

#endif
