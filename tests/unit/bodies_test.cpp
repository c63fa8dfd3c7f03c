// The bodies of lab `caches`: what each computes follows from its data alone, and it keeps to its
// memory.
#include "labs/kit/bodies.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "firmware/wire/crc32c.h"

namespace doorbell::test {
namespace {

using labs::Body;

constexpr struct {
    const char *name, *sentence;
} sentences[] = {
#define BODY(function, name, bytes, input, sentence) {name, sentence},
#include "labs/kit/bodies.list"
#undef BODY
};

/// A body's memory, between two stretches that must stay as they are.
class Place {
  public:
    explicit Place(const Body& body, size_t shift = 0)
        : bytes_(body.bytes), at_(margin + shift), all_(bytes_ + 2 * margin + shift + line) {
        memory_ = std::make_unique<uint8_t[]>(all_);
        std::memset(memory_.get(), 0xA5, all_);
        at_ += (line - (reinterpret_cast<uintptr_t>(memory_.get()) + at_) % line) % line;
    }
    void* memory() { return memory_.get() + at_; }
    bool margins_are_whole() const {
        for (size_t i = 0; i < all_; ++i)
            if ((i < at_ || i >= at_ + bytes_) && memory_[i] != 0xA5) return false;
        return true;
    }

  private:
    static constexpr size_t margin = 4096, line = 64;
    size_t bytes_, at_, all_;
    std::unique_ptr<uint8_t[]> memory_;
};

uint64_t result_of(const char* name, uint64_t seed) {
    const Body* body = labs::find_body(name);
    if (body == nullptr) {
        ADD_FAILURE() << "no body is called " << name;
        return 0;
    }
    Place place(*body);
    body->prepare(place.memory(), seed);
    return body->run(place.memory());
}

TEST(Bodies, AreAtLeastThirtyEachWithItsNameAndSentence) {
    std::set<std::string> names, said;
    for (const auto& [name, sentence] : sentences) {
        EXPECT_TRUE(names.insert(name).second) << name << " stands twice in the list";
        EXPECT_TRUE(said.insert(sentence).second) << name;
        EXPECT_TRUE(std::string(sentence).ends_with('.')) << name;
        EXPECT_NE(labs::find_body(name), nullptr) << name;
    }
    EXPECT_GE(names.size(), 30u);
    EXPECT_EQ(names.size(), labs::all_bodies().size());
    EXPECT_EQ(labs::find_body("nothing"), nullptr);
}

TEST(Bodies, ResultFollowsFromTheSeedAndNotFromWhereTheMemoryIs) {
    for (const Body& body : labs::all_bodies()) {
        Place one(body), other(body, 8192 + 64 * 7);
        for (uint64_t seed : {1, 2}) {
            body.prepare(one.memory(), seed);
            body.prepare(other.memory(), seed);
            for (int run = 0; run < (body.input == labs::BodyInput::kept ? 3 : 1); ++run)
                EXPECT_EQ(body.run(one.memory()), body.run(other.memory()))
                    << body.name << " with seed " << seed << ", run " << run;
        }
        EXPECT_TRUE(one.margins_are_whole() && other.margins_are_whole())
            << body.name << " writes outside of its " << body.bytes << " bytes";
    }
}

TEST(Bodies, PrepareForgetsWhatRunsHaveLeft) {
    for (const Body& body : labs::all_bodies()) {
        Place place(body);
        body.prepare(place.memory(), 1);
        uint64_t first = body.run(place.memory());
        body.prepare(place.memory(), 2);
        body.run(place.memory());
        body.prepare(place.memory(), 1);
        EXPECT_EQ(body.run(place.memory()), first) << body.name;
    }
}

TEST(Bodies, ComputeWhatTheyAreNamedAfter) {
    uint64_t sorted = result_of("quick-sort", 5);
    EXPECT_EQ(result_of("merge-sort", 5), sorted);
    EXPECT_EQ(result_of("heap-sort", 5), sorted);
    EXPECT_EQ(result_of("fibonacci", 1), 6765u);
    EXPECT_EQ(result_of("queens", 1), 92u);
    EXPECT_EQ(result_of("sieve", 1), 202'288'087u) << "the sum of the primes below 65,536";
    EXPECT_EQ(result_of("matrix", 3), result_of("matrix-blocked", 3));
    EXPECT_EQ(result_of("utf8", 4) % 65536, 0u) << "text that is not UTF-8";
    const Body& crc = *labs::find_body("crc32c");
    Place place(crc);
    crc.prepare(place.memory(), 9);
    uint64_t result = crc.run(place.memory());
    // Its table of 256 entries is followed by the bytes.
    std::string_view bytes(static_cast<const char*>(place.memory()) + 1024, 16384);
    EXPECT_EQ(result, wire::crc32c(bytes));
}

TEST(Bodies, EachSeedGivesOtherData) {
    // These compute the same whatever the seed.
    const std::set<std::string_view> fixed = {"fibonacci", "queens", "sieve", "pi"};
    for (const Body& body : labs::all_bodies()) {
        std::set<uint64_t> results;
        for (uint64_t seed = 1; seed <= 4; ++seed)
            results.insert(result_of(std::string(body.name).c_str(), seed));
        EXPECT_EQ(results.size() > 1, !fixed.contains(body.name)) << body.name;
    }
}

}  // namespace
}  // namespace doorbell::test
