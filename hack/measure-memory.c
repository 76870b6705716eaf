// What the memory of this machine costs a program that meets something else with every step, as a worker with thousands of
// books does.
//
//   cc -O2 -o .build/measure-memory hack/measure-memory.c && taskset -c 1 .build/measure-memory
//
// Prints, separated by tabs: the megabytes that are gone through at random, the nanoseconds of one step from line to line, and
// those until a group of 12 prefetches of lines of as many pages has been taken from the program's hands; once with pages of
// 4 KiB and once with such of 2 MiB. A step waits for memory and for the translation of its address; a prefetch waits for the
// translation alone, and the program with it. For x86; where /sys/kernel/mm/transparent_hugepage/enabled says `never` the second half
// has small pages too.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

enum { LINE = 64, HUGE = 2 << 20, STEPS = 2000000, GROUPS = 4000, GROUP = 12 };

static uint64_t state = 88172645463325252u;

static uint64_t draw(uint64_t bound) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state % bound;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

// Nanoseconds from one line to the next, whose address it holds; all lines are met once before any comes again.
static double step(char *memory, size_t bytes) {
    size_t count = bytes / LINE;
    uint32_t *order = malloc(count * sizeof *order);
    if (!order) exit(2);
    for (size_t i = 0; i < count; i++) order[i] = i;
    for (size_t i = count - 1; i > 0; i--) {
        size_t other = draw(i);
        uint32_t kept = order[i];
        order[i] = order[other], order[other] = kept;
    }
    for (size_t i = 0; i < count; i++)
        *(char **)(memory + (size_t)order[i] * LINE) = memory + (size_t)order[(i + 1) % count] * LINE;
    char *at = memory + (size_t)order[0] * LINE;
    free(order);
    for (size_t i = 0; i < count; i++) at = *(char **)at;
    double begin = now();
    for (size_t i = 0; i < STEPS; i++) at = *(char **)at;
    double taken = now() - begin;
    __asm__ volatile("" : : "r"(at));
    return taken / STEPS;
}

// Nanoseconds until a group of prefetches is done as far as the program is concerned, beyond those of the clock.
static double group(char *memory, size_t bytes) {
    double sum[2] = {0, 0};
    for (int i = 0; i < GROUPS; i++)
        for (int is_group = 0; is_group < 2; is_group++) {
            char *lines[GROUP];
            for (int j = 0; j < GROUP; j++) lines[j] = memory + draw(bytes / LINE) * LINE;
            _mm_lfence();
            double begin = now();
            if (is_group)
                for (int j = 0; j < GROUP; j++) _mm_prefetch(lines[j], _MM_HINT_T0);
            _mm_lfence();
            sum[is_group] += now() - begin;
        }
    return (sum[1] - sum[0]) / GROUPS;
}

int main(void) {
    static const size_t sizes[] = {1, 4, 16, 80};
    printf("pages\tmegabytes\tstep_ns\tgroup_ns\n");
    for (int is_huge = 0; is_huge < 2; is_huge++) {
        size_t most = (size_t)80 << 20;
        char *raw = mmap(0, most + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (raw == MAP_FAILED) return perror("mmap"), 2;
        char *memory = (char *)(((uintptr_t)raw + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
        if (madvise(memory, most, is_huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE)) return perror("madvise"), 2;
        memset(memory, 0, most);
        for (int i = 0; i < 4; i++)
            printf("%s\t%zu\t%.0f\t%.0f\n", is_huge ? "2M" : "4K", sizes[i], step(memory, sizes[i] << 20),
                   group(memory, sizes[i] << 20));
        munmap(raw, most + HUGE);
    }
    return 0;
}
