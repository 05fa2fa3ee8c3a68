// SPDX-License-Identifier: Apache-2.0
#include <frugal/compress/scaled_sign.hpp>

#include "kernels/cpu.hpp"

namespace {

bench::suite const registered("scaled_sign", [](bench::session const& s) {
  bench::on_cpus([&](auto cpu, int threads) {
    std::size_t const n = s.elements();
    bench::model model(n);
    bench::crew crew(threads);
    bench::table t(n, threads);
    std::atomic<float> sink;
    float *const g = model.g.data(), *const x = model.x.data();
    t.add("read_only", 4, [&] {
      crew.run(n, [&](std::size_t begin, std::size_t end) { sink = bench::read_only(g + begin, end - begin); });
    });
    t.add("stream_r1w1", 8, [&, x] { bench::stream<1, 1>(crew, {x}, n); });

    // The packing of bits alone, with a scale that is known; it is the second pass of a vector with one scale.
    float scale = 1;
    std::vector<std::uint8_t> bits(n / 8);
    using pass = frugal::detail::sign_parts<frugal::detail::vector_source, false>;
    t.add("sign_pack", 4.125, [&, g] {
       cpu.for_teams(pass{{g}, frugal::index_t(n), 4096, &scale, bits.data()});
     }).against("read_only", bench::on_one(threads, 1.15));
    // Whole messages. With a scale for each 4096 elements memory is read once, with one scale twice.
    frugal::compressor blocks(cpu, n, frugal::scaled_sign{.block = 4096});
    frugal::compressor whole(cpu, n, frugal::scaled_sign{});
    frugal::message const message = blocks.encode(model.g);
    t.add("sign_encode_blocks", 4.126, [&] {
       blocks.encode(model.g);
     }).against("read_only", bench::on_one(threads, 1.5));
    t.add("sign_encode", 8.125, [&] { whole.encode(model.g); }).against("read_only");
    t.add("sign_unpack", 4.126, [&] {
       blocks.decode(model.v, message);
     }).against("read_only", bench::on_one(threads, 1.5));
    t.add("sign_add", 8.126, [&] { blocks.add_to(model.x, message, 1e-6); }).against("stream_r1w1");
    s.measure(t);
  });
});

}  // namespace
