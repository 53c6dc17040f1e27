/*
 * The message that asks the owner of a URL (AWS IoT Core Developer Guide, "Managing HTTP action
 * destinations"):
 *
 *      POST {confirmationUrl}/?confirmationToken={token}
 *      x-amz-rules-engine-message-type: DestinationConfirmation
 *      x-amz-rules-engine-destination-arn: {arn}
 *      Content-Type: application/json
 *
 *      {"arn":..., "confirmationToken":..., "enableUrl":..., "messageType":"DestinationConfirmation"}
 *
 * What is answered decides nothing; it is told in the destination's statusReason.
 */
#include <stdio.h>

#include "action/destination.h"
#include "base/json_write.h"
#include "base/log.h"

enum { ANSWER_BYTES_MAX = 16 * 1024, TIMEOUT_MS = 10 * 1000 };

static void on_answer(void *data, const struct http_answer *answer) {
    struct destination *destination = data;
    destination->call = NULL;
    if (answer->status >= 200 && answer->status <= 299)
        snprintf(destination->outcome, sizeof destination->outcome,
                 "the endpoint took it, and the token has not come back yet");
    else if (answer->status)
        snprintf(destination->outcome, sizeof destination->outcome, "the endpoint answered with %d",
                 answer->status);
    else
        snprintf(destination->outcome, sizeof destination->outcome,
                 "no response received from the endpoint: %s", answer->error);
}

static void write_body(struct buf *out, const struct destination *destination, struct str arn,
                       struct str enable_url) {
    buf_clear(out);
    buf_add_u8(out, '{');
    json_write_text(out, "arn", arn);
    json_write_text(out, "confirmationToken", str_of(destination->token));
    json_write_text(out, "enableUrl", enable_url);
    json_write_text(out, "messageType", STR("DestinationConfirmation"));
    buf_add_u8(out, '}');
}

static void write_url(struct buf *out, const struct destination *destination) {
    struct str base = str_of(destination->url);
    const char *joint = base.at[base.len - 1] == '/' ? "?" : "/?";
    if (str_find(base, '?') < base.len)
        joint = "&";
    buf_printf(out, "%s%sconfirmationToken=%s", destination->url, joint, destination->token);
}

static void send_post(struct destination *destination, const char *url, struct str arn,
                      const char *ca_path) {
    const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("x-amz-rules-engine-message-type"), STR("DestinationConfirmation")},
        {STR("x-amz-rules-engine-destination-arn"), arn},
    };
    struct http_call_config config = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .header_count = COUNT_OF(headers),
        .body = buf_str(&destination->body),
        .timeout_ms = TIMEOUT_MS,
        .answer_bytes_max = ANSWER_BYTES_MAX,
        .ca_path = ca_path,
    };
    destination->call =
        http_client_send(destination->owner->services->client, &config, on_answer, destination);
}

void destination_post(struct destination *destination, const char *ca_path) {
    struct buf arn = {0}, enable_url = {0}, url = {0};
    if (destination->call)
        return;
    destination_arn(destination, &arn);
    buf_printf(&enable_url, "%s/confirmdestination/%s", destination->owner->services->confirm_url,
               destination->token);
    write_url(&url, destination);
    write_body(&destination->body, destination, buf_str(&arn), buf_str(&enable_url));
    snprintf(destination->outcome, sizeof destination->outcome,
             "no response received from the endpoint");
    send_post(destination, buf_cstr(&url), buf_str(&arn), ca_path);
    log_info("action", "%s: asked for confirmation", destination->url);
    buf_done(&arn);
    buf_done(&enable_url);
    buf_done(&url);
}

void destination_post_cancel(struct destination *destination) {
    if (destination->call)
        http_call_cancel(destination->call);
    destination->call = NULL;
}
