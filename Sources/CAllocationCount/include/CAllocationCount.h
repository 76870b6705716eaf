#pragma once

/// How often this program has asked for memory since its start; for benchmarks only.
long callocationcount_value(void);
