/* Any bytes as what a signed request is read from: first line the query, second the Authorization
 * header, third the date, the rest the body. */
#include <stdlib.h>
#include <string.h>

#include "aws/sigv4_verify.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = xmemdup(data, size); /* Reading beyond the end is seen. */
    struct str rest = str_from(copy, size);
    struct str query = str_cut(rest, '\n', &rest);
    struct str authorization = str_cut(rest, '\n', &rest);
    struct str date = str_cut(rest, '\n', &rest);
    const struct http_header headers[] = {
        {STR("Host"), STR("h")}, {STR("X-Amz-Date"), date}, {STR("Authorization"), authorization}};
    const struct http_request request = {.method = STR("POST"),
                                         .path = STR("/"),
                                         .query = query,
                                         .body = rest,
                                         .headers = headers,
                                         .header_count = COUNT_OF(headers)};
    struct aws_credential credential = {.access_key_id = "AKID", .secret_access_key = "secret"};
    struct aws_verifier verifier = {.credentials = {&credential, 1}, .service = STR("kinesis")};
    const struct aws_credential *who;
    struct aws_refusal refusal = {0};
    int status = aws_verify(&verifier, &request, 1704067200000, &who, &refusal);
    ASSERT(status == 0 || (refusal.type && memchr(refusal.text, '\0', sizeof refusal.text)));
    free(copy);
    return 0;
}
