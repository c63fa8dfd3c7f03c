// The step of a clock, found from differences of its readings. Pure: no clock is read here, so that
// one kind of machine can test what another one shows.
#pragma once
#include <cstdint>
#include <span>

namespace doorbell::measure {

/// A step longer than this is found only where nothing disturbs it.
inline constexpr uint64_t longest_disturbed_step = 1024;

/// The step in which a clock advances, in its ticks, from `differences` of two readings around
/// bodies of many lengths. AMD's Zen counts the TSC on from a reference of 100 MHz: every
/// difference is a multiple of 21, 26, ... A clock that never gives one value twice (an emulator
/// that adds 1 instead) and a few readings on another processor do not hide the step: it is the
/// longest of which 95 % of the differences are multiples to within a tick or two. 1: every tick
/// is seen. 0: the clock never moved.
uint64_t find_step(std::span<const uint64_t> differences);

}  // namespace doorbell::measure
