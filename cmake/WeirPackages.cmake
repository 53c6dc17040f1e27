# Every foreign library under one name, weir::NAME, found by pkg-config (Debian 12 packages all of them).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(weir_package name module)
    pkg_check_modules(PKG_${name} REQUIRED IMPORTED_TARGET ${module})
    add_library(weir_pkg_${name} INTERFACE)
    target_link_libraries(weir_pkg_${name} INTERFACE PkgConfig::PKG_${name})
    add_library(weir::${name} ALIAS weir_pkg_${name})
endfunction()

weir_package(uv libuv)
weir_package(openssl openssl)
weir_package(curl libcurl)
weir_package(hiredis hiredis)
weir_package(lmdb lmdb)
weir_package(pq libpq)
weir_package(yaml yaml-0.1)
weir_package(cmocka cmocka)
weir_package(deflate libdeflate)
weir_package(pcre2 libpcre2-8)
weir_package(nghttp2 libnghttp2)

# Loaded by the program when a stream asks for it (src/stream/kafka_calls.h), so nothing links it but tests.
weir_package(rdkafka rdkafka)
add_library(weir_pkg_rdkafka_header INTERFACE)
target_include_directories(weir_pkg_rdkafka_header SYSTEM INTERFACE ${PKG_rdkafka_INCLUDE_DIRS})
target_link_libraries(weir_pkg_rdkafka_header INTERFACE ${CMAKE_DL_LIBS})
add_library(weir::rdkafka_header ALIAS weir_pkg_rdkafka_header)

# These come without a pkg-config file.
function(weir_plain_library name library)
    find_library(PLAIN_${name} ${library} REQUIRED)
    add_library(weir_pkg_${name} INTERFACE)
    target_link_libraries(weir_pkg_${name} INTERFACE ${PLAIN_${name}})
    add_library(weir::${name} ALIAS weir_pkg_${name})
endfunction()

weir_plain_library(wslay wslay)
weir_plain_library(http_parser http_parser)
weir_plain_library(unistring unistring)

# Intel's decimal library comes in eight builds; this one takes arguments by value and has neither a global rounding mode
# nor global flags, so threads share nothing. Its header must be told the same.
weir_plain_library(intelrdfpmath bidgcc000)
target_compile_definitions(weir_pkg_intelrdfpmath INTERFACE
    DECIMAL_CALL_BY_REFERENCE=0 DECIMAL_GLOBAL_ROUNDING=0 DECIMAL_GLOBAL_EXCEPTION_FLAGS=0)
