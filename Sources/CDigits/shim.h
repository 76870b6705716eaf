#pragma once

#include <stdint.h>

/* Decimal digits of two numbers at once, with the compiler's own vectors: Swift's have no multiplication that keeps the
   upper half, and digits that are found one after the other cost a division each. */

typedef uint16_t cdigits_words __attribute__((vector_size(16)));
typedef uint32_t cdigits_wide __attribute__((vector_size(32)));
typedef uint8_t cdigits_bytes __attribute__((vector_size(16)));
typedef _Bool cdigits_flags __attribute__((ext_vector_type(16)));

/* Words / 100, exact below 10,000: 5243 / 2^19 is a little more than 1/100. */
static inline cdigits_words cdigits_hundreds(cdigits_words words) {
    cdigits_wide product = __builtin_convertvector(words, cdigits_wide) * 5243;
    return __builtin_convertvector(product >> 16, cdigits_words) >> 3;
}

/* Two digits in each word, the first in the lower byte, of words below 100: 103 / 2^10 is a little more than 1/10. */
static inline cdigits_words cdigits_split(cdigits_words words) {
    cdigits_words tens = (words * 103) >> 10;
    return tens | ((words - tens * 10) << 8);
}

/* Which of the digits are not zero: bit 0 for the first. */
static inline uint16_t cdigits_significant(cdigits_bytes digits) {
    return __builtin_bit_cast(uint16_t, __builtin_convertvector(digits, cdigits_flags));
}

/* Writes sixteen digits of `first` and then of `second`, both below 10^16, as text with leading zeros to the 32 bytes at
   `text`. Returns which digits are not zero: bit 0 for the first digit of `first`, bit 16 for that of `second`. */
static inline uint32_t cdigits_write(uint64_t first, uint64_t second, uint8_t *text) {
    uint32_t a = (uint32_t)(first / 100000000), b = (uint32_t)(first % 100000000);
    uint32_t c = (uint32_t)(second / 100000000), d = (uint32_t)(second % 100000000);
    cdigits_words groups = {(uint16_t)(a / 10000), (uint16_t)(a % 10000), (uint16_t)(b / 10000), (uint16_t)(b % 10000),
                            (uint16_t)(c / 10000), (uint16_t)(c % 10000), (uint16_t)(d / 10000), (uint16_t)(d % 10000)};
    cdigits_words hundreds = cdigits_hundreds(groups);
    cdigits_words upper = cdigits_split(hundreds), lower = cdigits_split(groups - hundreds * 100);
    cdigits_words one = __builtin_shufflevector(upper, lower, 0, 8, 1, 9, 2, 10, 3, 11);
    cdigits_words two = __builtin_shufflevector(upper, lower, 4, 12, 5, 13, 6, 14, 7, 15);
    cdigits_bytes digits[2] = {(cdigits_bytes)one, (cdigits_bytes)two};
    cdigits_bytes characters[2] = {digits[0] | '0', digits[1] | '0'};
    __builtin_memcpy(text, characters, 32);
    return cdigits_significant(digits[0]) | (uint32_t)cdigits_significant(digits[1]) << 16;
}
