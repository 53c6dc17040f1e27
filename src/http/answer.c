#include "http/answer.h"

#include <stdio.h>
#include <time.h>

#include "base/mem.h"

static const struct status {
    int code;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *http_status_text(int status) {
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        if (statuses[i].code == status)
            return statuses[i].text;
    return "Unknown";
}

struct str http_header(const struct http_request *request, const char *name) {
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, str_of(name)))
            return request->headers[i].value;
    return (struct str){0};
}

/* Not by strftime(): the names of days and months must not follow the locale. */
const char *answer_date_text(struct answer_date *date, uint64_t wall_ms) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (date->second == wall_ms / 1000 && date->text[0])
        return date->text;
    date->second = wall_ms / 1000;
    time_t seconds = (time_t)date->second;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    snprintf(date->text, sizeof date->text, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
             days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100, months + 3 * tm.tm_mon,
             (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
             (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    return date->text;
}

bool answer_has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

static void add_header(struct buf *out, struct str name, struct str value) {
    ASSERT(name.len && !memchr(name.at, '\r', name.len) && !memchr(name.at, '\n', name.len));
    ASSERT(!value.len ||
           (!memchr(value.at, '\r', value.len) && !memchr(value.at, '\n', value.len)));
    buf_add_str(out, name);
    buf_add(out, ": ", 2);
    buf_add_str(out, value);
    buf_add(out, "\r\n", 2);
}

void answer_write_head(struct buf *out, const struct answer_head *head) {
    buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", head->status, http_status_text(head->status),
               head->date);
    if (head->content_type)
        add_header(out, STR("Content-Type"), str_of(head->content_type));
    if (head->is_streamed && !head->is_http_1_0)
        add_header(out, STR("Transfer-Encoding"), STR("chunked"));
    else if (answer_has_body(head->status) && !head->is_streamed)
        buf_printf(out, "Content-Length: %zu\r\n", head->body_bytes);
    for (size_t i = 0; i < head->extra_count; i++)
        add_header(out, head->extra[i].name, head->extra[i].value);
    if (head->status != 101 && !head->keep_alive)
        add_header(out, STR("Connection"), STR("close"));
    else if (head->status != 101 && head->is_http_1_0)
        add_header(out, STR("Connection"), STR("keep-alive"));
    buf_add(out, "\r\n", 2);
}
