/*
 * What must hold of a signed request, in the order in which it is checked:
 *
 *   1. one form: the Authorization header, or X-Amz-* parameters in the query (presigned), not both
 *   2. all parts are there: Credential, SignedHeaders, Signature, a date
 *   3. the key is known, and the session token is the one that belongs to it
 *   4. the scope: KEY/yyyymmdd/REGION/SERVICE/aws4_request, the day being the date's, the service ours.
 *      A key may hold '/': the last four parts are the scope. Any region is accepted.
 *   5. the date is within 5 minutes of the clock (S3: 15); a presigned URL holds from its date for
 *      X-Amz-Expires seconds
 *   6. signed are host (or :authority, as HTTP/2 calls it) and every x-amz-* header that came
 *   7. x-amz-content-sha256, if it came as 64 digits, is the hash of the body
 *   8. the signature, compared in constant time. If the path as it should be normalised does not fit,
 *      the path as it came is tried too, for signers that do not normalise
 *
 * Whatever is wrong is told with the texts that clients and people know from AWS; the JavaScript SDK
 * corrects its clock by the type alone.
 */
#include "aws/sigv4_verify.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"

enum {
    SKEW_MS = 5 * 60 * 1000,
    SKEW_S3_MS = 15 * 60 * 1000,
    EXPIRES_S_MAX = 604800,
    SIGNED_HEADERS_MAX = 64,
    DATE_CHARS = SIGV4_DATE_CHARS - 1,
    SIGNATURE_CHARS = SIGV4_SIGNATURE_CHARS - 1,
};

const struct option aws_credential_options[] = {
    {"access_key_id", OPTION_STRING, offsetof(struct aws_credential, access_key_id),
     .required = true, .help = "what clients send as AWS_ACCESS_KEY_ID"},
    {"secret_access_key", OPTION_SECRET, offsetof(struct aws_credential, secret_access_key),
     .required = true},
    {"session_token", OPTION_SECRET, offsetof(struct aws_credential, session_token),
     .help = "clients must send it as x-amz-security-token"},
    {"user", OPTION_STRING, offsetof(struct aws_credential, user),
     .help = "the name in messages: arn:aws:iam::ACCOUNT:user/USER; default: the access key id"},
    {"policy", OPTION_STRING, offsetof(struct aws_credential, policy),
     .help = "one of `policies`: what the key may do; without it everything"},
    {0}};

struct claim {
    bool presigned;
    struct str access_key_id, scope; /* scope: day/region/service/aws4_request */
    struct str day, region, service, terminator;
    struct str signed_headers, signature, date, token;
    uint64_t expires_s; /* presigned */
    struct buf room;    /* decoded texts of the query, one behind the other */
};

struct verification {
    struct aws_verifier *verifier;
    const struct http_request *request;
    uint64_t wall_ms;
    struct claim claim;
    struct aws_refusal *refusal;
    const struct aws_credential *credential;
};

static int refuse(struct verification *verification, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct verification *verification, const char *type, const char *format, ...) {
    struct aws_refusal *refusal = verification->refusal;
    refusal->type = type;
    va_list args;
    va_start(args, format);
    vsnprintf(refusal->text, sizeof refusal->text, format, args);
    va_end(args);
    return ERR_DENIED;
}

static int incomplete(struct verification *verification, const char *what) {
    return refuse(verification, "IncompleteSignatureException", "%s", what);
}

/* ---- 1, 2: the parts ---- */

static struct str authorization(const struct http_request *request) {
    return http_header(request, "Authorization");
}

static bool has_query(const struct http_request *request, const char *name) {
    struct buf value = {0};
    bool has = http_query(request, name, &value);
    buf_done(&value);
    return has;
}

/* `Name=value` up to a comma, in any order. */
static void take_part(struct claim *claim, struct str *ret_credential, struct str part) {
    struct str value, name = str_cut(part, '=', &value);
    if (str_eq(name, STR("Credential")))
        *ret_credential = value;
    else if (str_eq(name, STR("SignedHeaders")))
        claim->signed_headers = value;
    else if (str_eq(name, STR("Signature")))
        claim->signature = value;
}

static int read_header(struct verification *verification, struct str *ret_credential) {
    static const char *const names[] = {"Credential", "Signature", "SignedHeaders"};
    struct claim *claim = &verification->claim;
    struct str parts, whole = authorization(verification->request);
    struct str algorithm = str_cut(whole, ' ', &parts);
    if (!str_eq(algorithm, STR("AWS4-HMAC-SHA256")))
        return incomplete(verification, "Unsupported AWS 'algorithm' in the Authorization header: "
                                        "AWS4-HMAC-SHA256 is wanted.");
    for (struct str rest = parts; rest.len;)
        take_part(claim, ret_credential, str_trim(str_cut(rest, ',', &rest)));
    const struct str found[] = {*ret_credential, claim->signature, claim->signed_headers};
    struct buf text = {0};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (!found[i].len)
            buf_printf(&text, "Authorization header requires '%s' parameter. ", names[i]);
    claim->date = http_header(verification->request, "X-Amz-Date");
    if (!claim->date.len)
        claim->date = http_header(verification->request, "Date");
    if (!claim->date.len)
        buf_add_str(&text,
                    STR("Authorization header requires existence of either a 'X-Amz-Date' or "
                        "a 'Date' header. "));
    claim->token = http_header(verification->request, "X-Amz-Security-Token");
    int status = 0;
    if (buf_len(&text))
        status = refuse(verification, "IncompleteSignatureException", "%.*sAuthorization=%.*s",
                        STR_ARG(buf_str(&text)), STR_ARG(algorithm));
    buf_done(&text);
    return status;
}

/* The decoded value stands in claim->room, which was made large enough for all. */
static struct str query_value(struct verification *verification, const char *name) {
    struct buf *room = &verification->claim.room;
    size_t before = buf_len(room);
    if (!http_query(verification->request, name, room))
        return (struct str){0};
    return str_from(buf_at(room) + before, buf_len(room) - before);
}

static int read_query(struct verification *verification, struct str *ret_credential) {
    struct claim *claim = &verification->claim;
    buf_room(&claim->room, 2 * verification->request->query.len + 1);
    claim->presigned = true;
    *ret_credential = query_value(verification, "X-Amz-Credential");
    claim->signed_headers = query_value(verification, "X-Amz-SignedHeaders");
    claim->signature = query_value(verification, "X-Amz-Signature");
    claim->date = query_value(verification, "X-Amz-Date");
    claim->token = query_value(verification, "X-Amz-Security-Token");
    struct str algorithm = query_value(verification, "X-Amz-Algorithm");
    if (!str_eq(algorithm, STR("AWS4-HMAC-SHA256")) || !ret_credential->len ||
        !claim->signed_headers.len || !claim->signature.len || !claim->date.len)
        return incomplete(verification,
                          "AWS query-string parameters must include X-Amz-Algorithm, "
                          "X-Amz-Credential, X-Amz-Signature, X-Amz-SignedHeaders and X-Amz-Date.");
    struct str expires = query_value(verification, "X-Amz-Expires");
    if (!expires.len && !verification->verifier->s3)
        claim->expires_s = SKEW_MS / 1000;
    else if (!str_to_u64(expires, &claim->expires_s) || claim->expires_s < 1 ||
             claim->expires_s > EXPIRES_S_MAX)
        return incomplete(verification, "X-Amz-Expires must be between 1 and 604800 seconds.");
    return 0;
}

/* ---- 4: the scope, taken from the right ---- */

static struct str take_last(struct str *rest) {
    size_t at = rest->len;
    while (at && rest->at[at - 1] != '/')
        at--;
    struct str last = str_skip(*rest, at);
    rest->len = at ? at - 1 : 0;
    return last;
}

static int read_credential(struct verification *verification, struct str credential) {
    struct claim *claim = &verification->claim;
    struct str rest = credential;
    claim->terminator = take_last(&rest);
    claim->service = take_last(&rest);
    claim->region = take_last(&rest);
    claim->day = take_last(&rest);
    claim->access_key_id = rest;
    if (!rest.len || !claim->day.len || !claim->region.len || !claim->service.len)
        return incomplete(verification,
                          "Credential must have exactly 5 slash-delimited elements, e.g. "
                          "keyid/date/region/service/term");
    claim->scope =
        str_from(claim->day.at, (size_t)(credential.at + credential.len - claim->day.at));
    return 0;
}

static int read_claim(struct verification *verification) {
    struct str credential = {0};
    bool header = authorization(verification->request).len;
    bool query = has_query(verification->request, "X-Amz-Algorithm") ||
                 has_query(verification->request, "X-Amz-Signature");
    if (header && query)
        return refuse(verification, "InvalidSignatureException",
                      "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as "
                      "HTTP header.");
    if (!header && !query)
        return refuse(verification, "MissingAuthenticationTokenException",
                      "Missing Authentication Token");
    int status =
        header ? read_header(verification, &credential) : read_query(verification, &credential);
    return status ? status : read_credential(verification, credential);
}

static int check_scope(struct verification *verification) {
    const struct claim *claim = &verification->claim;
    struct str service = verification->verifier->service;
    if (!str_eq(claim->service, service))
        return refuse(verification, "InvalidSignatureException",
                      "Credential should be scoped to correct service: '%.*s'.", STR_ARG(service));
    if (!str_eq(claim->terminator, STR("aws4_request")))
        return refuse(verification, "InvalidSignatureException",
                      "Credential should be scoped with a valid terminator: 'aws4_request', not "
                      "'%.*s'.",
                      STR_ARG(claim->terminator));
    return 0;
}

/* ---- 3: the key ---- */

static int find_credential(struct verification *verification) {
    const struct claim *claim = &verification->claim;
    const struct option_items *credentials = &verification->verifier->credentials;
    const struct aws_credential *found = NULL;
    for (size_t i = 0; i < credentials->count; i++) {
        const struct aws_credential *credential = OPTION_AT(*credentials, struct aws_credential, i);
        if (str_eq(claim->access_key_id, str_of(credential->access_key_id)))
            found = credential;
    }
    struct str token = found ? str_of(found->session_token) : (struct str){0};
    bool same_token = token.len == claim->token.len &&
                      (!token.len || CRYPTO_memcmp(token.at, claim->token.at, token.len) == 0);
    if (!found || !same_token)
        return refuse(verification, "UnrecognizedClientException",
                      "The security token included in the request is invalid.");
    verification->credential = found;
    return 0;
}

/* ---- 5: the age ---- */

static bool read_number(struct str text, size_t at, size_t len, int *ret_number) {
    uint64_t number;
    if (!str_to_u64(str_from(text.at + at, len), &number))
        return false;
    *ret_number = (int)number;
    return true;
}

/* 20260923T061500Z */
static bool read_date(struct str text, uint64_t *ret_wall_ms) {
    struct tm tm = {0};
    if (text.len != DATE_CHARS || text.at[8] != 'T' || text.at[15] != 'Z' ||
        !read_number(text, 0, 4, &tm.tm_year) || !read_number(text, 4, 2, &tm.tm_mon) ||
        !read_number(text, 6, 2, &tm.tm_mday) || !read_number(text, 9, 2, &tm.tm_hour) ||
        !read_number(text, 11, 2, &tm.tm_min) || !read_number(text, 13, 2, &tm.tm_sec) ||
        tm.tm_year < 1970)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_wall_ms = (uint64_t)timegm(&tm) * 1000;
    return true;
}

/* The Date header's form of RFC 9110 section 5.6.7: "Fri, 24 May 2013 00:00:00 GMT". */
static bool read_http_date(struct str text, uint64_t *ret_wall_ms) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};
    enum { CHARS = 29 };
    if (text.len != CHARS || !read_number(text, 5, 2, &tm.tm_mday) ||
        !read_number(text, 12, 4, &tm.tm_year) || !read_number(text, 17, 2, &tm.tm_hour) ||
        !read_number(text, 20, 2, &tm.tm_min) || !read_number(text, 23, 2, &tm.tm_sec) ||
        tm.tm_year < 1970)
        return false;
    while (tm.tm_mon < 12 && memcmp(months + 3 * tm.tm_mon, text.at + 8, 3) != 0)
        tm.tm_mon++;
    tm.tm_year -= 1900;
    *ret_wall_ms = (uint64_t)timegm(&tm) * 1000;
    return tm.tm_mon < 12;
}

static int check_age(struct verification *verification, uint64_t date_ms) {
    const struct claim *claim = &verification->claim;
    uint64_t skew_ms = verification->verifier->s3 ? SKEW_S3_MS : SKEW_MS;
    uint64_t now_ms = verification->wall_ms;
    uint64_t valid_ms = claim->presigned ? claim->expires_s * 1000 : skew_ms;
    char date[SIGV4_DATE_CHARS], now[SIGV4_DATE_CHARS], bound[SIGV4_DATE_CHARS];
    sigv4_date(date_ms, date);
    sigv4_date(now_ms, now);
    unsigned minutes = (unsigned)(skew_ms / 60000);
    if (date_ms + valid_ms < now_ms) {
        sigv4_date(now_ms > valid_ms ? now_ms - valid_ms : 0, bound);
        return refuse(verification, "InvalidSignatureException",
                      "Signature expired: %s is now earlier than %s (%s - %u min.)", date, bound,
                      now, (unsigned)(valid_ms / 60000));
    }
    if (date_ms > now_ms + skew_ms) {
        sigv4_date(now_ms + skew_ms, bound);
        return refuse(verification, "InvalidSignatureException",
                      "Signature not yet current: %s is still later than %s (%s + %u min.)", date,
                      bound, now, minutes);
    }
    return 0;
}

static int check_date(struct verification *verification, char ret_date[SIGV4_DATE_CHARS]) {
    struct claim *claim = &verification->claim;
    uint64_t date_ms;
    if (!read_date(claim->date, &date_ms) && !read_http_date(claim->date, &date_ms))
        return incomplete(verification,
                          "Date must be in ISO-8601 'basic format', such as 20260923T061500Z.");
    sigv4_date(date_ms, ret_date);
    claim->date = str_from(ret_date, DATE_CHARS);
    if (!str_eq(str_from(ret_date, 8), claim->day))
        return refuse(verification, "InvalidSignatureException",
                      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
                      "date from HTTP: '%.*s' != '%.8s', from '%s'.",
                      STR_ARG(claim->day), ret_date, ret_date);
    return check_age(verification, date_ms);
}

/* ---- 6: what is signed ---- */

static bool is_listed(struct str list, struct str name) {
    for (struct str rest = list; rest.len;)
        if (str_eq_nocase(str_cut(rest, ';', &rest), name))
            return true;
    return false;
}

static bool is_amz(struct str name) {
    return name.len > 6 && str_eq_nocase(str_from(name.at, 6), STR("x-amz-"));
}

static bool signs_all(const struct verification *verification) {
    const struct http_request *request = verification->request;
    struct str list = verification->claim.signed_headers;
    if (!is_listed(list, STR("host")) && !is_listed(list, STR(":authority")))
        return false;
    for (size_t i = 0; !verification->claim.presigned && i < request->header_count; i++)
        if (is_amz(request->headers[i].name) && !is_listed(list, request->headers[i].name))
            return false;
    return true;
}

/* The headers of the list as they came. False when there are too many, or one is not there. */
static bool collect(const struct verification *verification,
                    struct http_header headers[SIGNED_HEADERS_MAX], size_t *ret_count) {
    const struct http_request *request = verification->request;
    size_t count = 0;
    for (struct str rest = verification->claim.signed_headers; rest.len;) {
        struct str name = str_cut(rest, ';', &rest);
        struct str wire = str_eq(name, STR(":authority")) ? STR("Host") : name;
        size_t before = count;
        for (size_t i = 0; i < request->header_count; i++) {
            if (!str_eq_nocase(request->headers[i].name, wire))
                continue;
            if (count == SIGNED_HEADERS_MAX)
                return false;
            headers[count++] = (struct http_header){name, request->headers[i].value};
        }
        if (count == before)
            return false;
    }
    *ret_count = count;
    return true;
}

/* ---- 7: the payload ---- */

static bool is_hex_hash(struct str text) {
    if (text.len != 64)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdef", text.at[i]))
            return false;
    return true;
}

static bool payload_hash(const struct verification *verification, char room[65],
                         struct str *ret_hash) {
    const struct http_request *request = verification->request;
    bool s3 = verification->verifier->s3;
    struct str said = http_header(request, "X-Amz-Content-Sha256");
    if (!said.len && s3 && verification->claim.presigned)
        said = STR("UNSIGNED-PAYLOAD");
    bool unsigned_payload = str_eq(said, STR("UNSIGNED-PAYLOAD"));
    if (unsigned_payload || (s3 && str_starts(said, STR("STREAMING-")))) {
        *ret_hash = said;
        return true;
    }
    sigv4_sha256_hex(request->body, room);
    *ret_hash = str_from(room, 64);
    return !said.len || (is_hex_hash(said) && str_eq(said, *ret_hash));
}

/* ---- 8: the signature ---- */

static const uint8_t *key_of(struct verification *verification) {
    struct aws_verifier_key *key = &verification->verifier->key;
    const struct claim *claim = &verification->claim;
    bool fits = claim->scope.len < sizeof key->scope;
    if (fits && key->credential == verification->credential &&
        str_eq(claim->scope, str_of(key->scope)))
        return key->bytes;
    sigv4_signing_key(str_of(verification->credential->secret_access_key), claim->day,
                      claim->region, claim->service, key->bytes);
    key->credential = fits ? verification->credential : NULL;
    if (fits)
        snprintf(key->scope, sizeof key->scope, "%.*s", STR_ARG(claim->scope));
    return key->bytes;
}

static bool is_signature(const struct sigv4_request *signing, const uint8_t *key,
                         struct str signature) {
    char expected[SIGV4_SIGNATURE_CHARS];
    sigv4_sign(signing, key, expected);
    return signature.len == SIGNATURE_CHARS &&
           CRYPTO_memcmp(expected, signature.at, SIGNATURE_CHARS) == 0;
}

static bool check_signature(struct verification *verification) {
    const struct http_request *request = verification->request;
    const struct claim *claim = &verification->claim;
    struct http_header headers[SIGNED_HEADERS_MAX];
    char hash[65];
    struct sigv4_request signing = {.method = request->method,
                                    .path = request->path,
                                    .query = request->query,
                                    .headers = headers,
                                    .region = claim->region,
                                    .service = claim->service,
                                    .amz_date = claim->date,
                                    .s3 = verification->verifier->s3};
    if (!signs_all(verification) || !collect(verification, headers, &signing.header_count) ||
        !payload_hash(verification, hash, &signing.payload_hash))
        return false;
    const uint8_t *key = key_of(verification);
    if (is_signature(&signing, key, claim->signature))
        return true;
    signing.s3 = !signing.s3;
    return is_signature(&signing, key, claim->signature);
}

int aws_verify(struct aws_verifier *verifier, const struct http_request *request, uint64_t wall_ms,
               const struct aws_credential **ret_credential, struct aws_refusal *ret_refusal) {
    struct verification verification = {
        .verifier = verifier, .request = request, .wall_ms = wall_ms, .refusal = ret_refusal};
    char date[SIGV4_DATE_CHARS];
    int status = read_claim(&verification);
    if (!status)
        status = find_credential(&verification);
    if (!status)
        status = check_scope(&verification);
    if (!status)
        status = check_date(&verification, date);
    if (!status && !check_signature(&verification))
        status =
            refuse(&verification, "InvalidSignatureException",
                   "The request signature we calculated does not match the signature you "
                   "provided. Check your AWS Secret Access Key and signing method. Consult the "
                   "service documentation for details.");
    if (!status)
        *ret_credential = verification.credential;
    buf_done(&verification.claim.room);
    return status;
}
