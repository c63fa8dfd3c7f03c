// doorbell-linux: the labs on Google Benchmark. Records go to standard output, Google Benchmark's
// own JSON to the named file.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

#include "host/run/session.h"

namespace {

using namespace doorbell::host;

class StateLoop : public Loop {
  public:
    explicit StateLoop(benchmark::State& state) : state_(state) {}
    bool more() override { return state_.KeepRunning(); }
    void took(double seconds) override { state_.SetIterationTime(seconds); }

  private:
    benchmark::State& state_;
};

/// Google Benchmark's reporter that ends each case, after its last repetition, and prints nothing.
class CaseEnds : public benchmark::BenchmarkReporter {
  public:
    CaseEnds(LinuxRun& session, const Words& words) : session_(session), words_(words) {}
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        // Of several repetitions mean and deviation come in a call of their own.
        if (!runs.empty() && runs.front().run_type == Run::RT_Aggregate) return;
        if (next_ < words_.cases.size()) session_.close(words_.cases[next_++]);
    }

  private:
    LinuxRun& session_;
    const Words& words_;
    size_t next_ = 0;
};

int run(const Words& words) {
    LinuxRun session(words, "doorbell-linux");
    for (const Chosen& chosen : words.cases) {
        std::string name =
            std::string(chosen.lab->name) + "/" + std::string(chosen.test_case->text());
        benchmark::RegisterBenchmark(name.c_str(),
                                     [&session, &chosen](benchmark::State& state) {
                                         StateLoop loop(state);
                                         std::string skip = session.run(chosen, loop);
                                         if (!skip.empty()) state.SkipWithError(skip.c_str());
                                     })
            ->Iterations(static_cast<benchmark::IterationCount>(session.samples_of(chosen)))
            ->Repetitions(static_cast<int>(words.repetitions))
            ->UseManualTime();
    }
    std::vector<std::string> arguments{"doorbell-linux"};
    if (!words.benchmark_out.empty())
        arguments.insert(arguments.end(),
                         {"--benchmark_out=" + words.benchmark_out, "--benchmark_out_format=json"});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    int argc = static_cast<int>(argv.size());
    benchmark::Initialize(&argc, argv.data());
    CaseEnds ends(session, words);
    benchmark::RunSpecifiedBenchmarks(&ends);
    session.end();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        Words words = read_words(argc, argv);
        if (words.list) {
            print_catalogue();
            return 0;
        }
        if (words.request.raw && words.repetitions > 1)
            throw std::invalid_argument("--raw keeps the samples of one repetition only");
        return run(words);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "doorbell-linux: %s\n", error.what());
        return 2;
    }
}
