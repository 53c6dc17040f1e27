# Compiler flags that hold for every file of the tree, and the sanitizers that a preset may ask for.
option(WEIR_SANITIZE_ADDRESS "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(WEIR_SANITIZE_THREAD "ThreadSanitizer" OFF)
option(WEIR_FUZZ "build the fuzzers too (clang)" OFF)
option(WEIR_COVERAGE "instrument for gcov" OFF)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
    -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
    -Wwrite-strings -Wvla -Wundef -Wno-unused-parameter -Wno-missing-field-initializers
    -fno-strict-aliasing -fno-common)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-format-truncation) # error texts are cut at their bound on purpose
endif()

if(WEIR_SANITIZE_ADDRESS)
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
endif()
if(WEIR_SANITIZE_THREAD)
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    add_link_options(-fsanitize=thread)
endif()
if(WEIR_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()
