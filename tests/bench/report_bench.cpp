// Duration and peak memory of a report of a run with a million raw samples.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>

#include "firmware/measure/histogram.h"

extern char** environ;

namespace {

namespace fs = std::filesystem;
using Shape = doorbell::measure::Histogram;

/// A run's folder: ten cases of a hundred thousand samples each, with as many bins as on hardware.
fs::path million() {
    std::string pattern = (fs::temp_directory_path() / "doorbell-bench-XXXXXX").string();
    fs::path folder = mkdtemp(pattern.data());
    fs::create_directories(folder / "samples");
    std::ofstream results(folder / "results.json");
    results
        << R"({"schema":"doorbell/1","complete":true,"machine":{"clock":"live","type":"serial"},"instrument":{"unit":"tick","resolution":1},"series":[)";
    std::mt19937_64 random(1);
    std::lognormal_distribution<double> latency(8, 0.7);
    for (int i = 0; i < 10; ++i) {
        std::string name = "samples/" + std::to_string(i) + ".txt";
        std::ofstream samples(folder / name);
        std::map<uint64_t, uint64_t> bins;
        uint64_t sum = 0, least = ~0ull, most = 0;
        for (int i = 0; i < 100000; ++i) {
            auto value = static_cast<uint64_t>(latency(random));
            samples << value << '\n';
            ++bins[Shape::lowest_of(Shape::bin_of(value))];
            sum += value;
            least = std::min(least, value);
            most = std::max(most, value);
        }
        results
            << (i == 0 ? "" : ",") << R"({"lab":"timer","case":{"source":"lapic","wait":")"
            << (i == 0   ? "poll"
                : i == 1 ? "irq"
                         : "w" + std::to_string(i))
            << R"("},"metric":"latency","unit":"tick","evidence":"measured","count":100000,"min":)"
            << least << ",\"max\":" << most << ",\"sum\":" << sum << ",\"histogram\":[";
        bool first = true;
        for (const auto& [value, count] : bins) {
            results << (first ? "" : ",") << '[' << value << ',' << count << ']';
            first = false;
        }
        results << "],\"raw\":\"" << name << "\"}";
    }
    results << "]}";
    return folder;
}

void report_of_a_million_samples(benchmark::State& state) {
    fs::path folder = million();
    std::string run = folder.string();
    double most_memory = 0;
    for (auto _ : state) {
        const char* words[] = {DOORBELL_COMMAND, "report", run.c_str(), "--quiet", nullptr};
        pid_t child = 0;
        if (posix_spawn(&child, words[0], nullptr, nullptr, const_cast<char**>(words), environ) !=
            0)
            return state.SkipWithError("cannot start the command");
        int status = 0;
        rusage usage{};
        wait4(child, &status, 0, &usage);
        if (status != 0) return state.SkipWithError("the report failed");
        most_memory = std::max(most_memory, static_cast<double>(usage.ru_maxrss) / 1024);
    }
    state.counters["most_memory_MiB"] = most_memory;
    state.counters["page_kB"] = static_cast<double>(fs::file_size(folder / "report.html")) / 1000;
    fs::remove_all(folder);
}
BENCHMARK(report_of_a_million_samples)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

}  // namespace

BENCHMARK_MAIN();
