#include "result.h"

#include <stdio.h>
#include <string.h>

#include "json.h"

void lambda_result_begin(struct lambda_result *result) {
    lambda_buf_clear(&result->body);
    lambda_buf_clear(&result->error_message);
    result->answered = false;
    result->error_type[0] = '\0';
    lambda_respond_type(result, "application/json");
}

void lambda_result_done(struct lambda_result *result) {
    lambda_buf_done(&result->body);
    lambda_buf_done(&result->error_message);
}

void lambda_respond(struct lambda_result *result, const void *body, size_t size) {
    lambda_buf_clear(&result->body);
    lambda_buf_append(&result->body, body, size);
    result->answered = true;
}

void lambda_respond_format(struct lambda_result *result, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    lambda_buf_clear(&result->body);
    lambda_buf_format_list(&result->body, format, arguments);
    result->answered = true;
    va_end(arguments);
}

void lambda_respond_type(struct lambda_result *result, const char *content_type) {
    snprintf(result->content_type, sizeof result->content_type, "%s", content_type);
}

int lambda_fail(struct lambda_result *result, const char *type, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    snprintf(result->error_type, sizeof result->error_type, "%s", type);
    lambda_buf_clear(&result->error_message);
    lambda_buf_format_list(&result->error_message, format, arguments);
    if (result->error_message.size > LAMBDA_ERROR_MESSAGE_BYTES_MAX)
        result->error_message.size = LAMBDA_ERROR_MESSAGE_BYTES_MAX;
    result->error_message.data[result->error_message.size] = '\0';
    va_end(arguments);
    return -1;
}

void lambda_result_explain(struct lambda_result *result, const char *who, int code) {
    if (result->error_type[0] == '\0')
        lambda_fail(result, "Function.Failed", "the %s returned %d", who, code);
}

void lambda_result_write_error(const struct lambda_result *result, struct lambda_buf *buf) {
    lambda_buf_format(buf, "{\"errorMessage\":");
    lambda_json_write_string(buf, result->error_message.data, result->error_message.size);
    lambda_buf_format(buf, ",\"errorType\":");
    lambda_json_write_string(buf, result->error_type, strlen(result->error_type));
    lambda_buf_format(buf, ",\"stackTrace\":[]}");
}
