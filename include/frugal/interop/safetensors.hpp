// SPDX-License-Identifier: Apache-2.0
/// @file Checkpoints: the states of objects, and parameters, in one safetensors file, which other programs can read
/// (`safetensors` of Python among them). Needs nlohmann-json.
///
///     frugal::checkpoint run;
///     run.add("optimizer", opt).add("weights", cpu, model, w);
///     run.save("run.safetensors");   // all of it, or the old file stays
///     run.load("run.safetensors");   // all of it, or nothing changes
#pragma once
#include "../core/macros.hpp"

#if !FRUGAL_EXCEPTIONS
#error \
    "frugal: a damaged file is an exception, and frugal/interop/safetensors.hpp needs exceptions: compile this file without -fno-exceptions"
#endif

#include "../core/model_view.hpp"
#include "file.hpp"
#include "stored_object.hpp"

namespace frugal {
inline namespace v0 {

/// A list of objects and parameters, each under a name, that are saved and loaded together. It refers to them: they
/// outlive it and stay where they are in memory. Not for two threads at once, nor beside a step of an object.
class checkpoint {
 public:
  /// An object with `visit_state`: an optimizer, an error feedback, a mixing ...
  /// @param name  of 1 or more characters, no dot among them; its tensors are "name.piece"
  template <class Object>
  requires requires(Object& o) { o.state_layout(); }
  checkpoint& add(std::string name, Object& object) {
    return add_look(std::move(name), [&object](std::string const& its_name) {
      detail::stored_object s(its_name, object.algorithm(), object.state_layout(), object.backend());
      object.visit_state([&]<class T, class Space>(std::string_view piece, role r, view<T, Space> v) {
        s.add(piece, detail::name_of(r), {v.size()}, v);
      });
      return s;
    });
  }
  /// Parameters of a layout: one flat vector, or a vector of views in the layout's order; each tensor is stored with
  /// its shape.
  /// @param b  the backend whose memory they are in
  template <memory_backend Backend, class Parameters>
  checkpoint& add(std::string name, Backend b, layout l, Parameters&& x) {
    using element = typename element_of<std::remove_pointer_t<decltype(x.data())>>::type;
    static_assert(!std::is_const_v<element>, "frugal: parameters in a checkpoint are loaded, too: they are not const");
    using its_view = view<element, typename Backend::space>;
    std::vector<its_view> tensors;
    model_view<element, typename Backend::space>(x).for_each(
        l, "parameters", [&](std::size_t k, element* p) { tensors.push_back(its_view(p, l.tensors()[k].size)); });
    return add_look(std::move(name), [b, l, tensors = std::move(tensors)](std::string const& its_name) {
      detail::stored_object s(its_name, "parameters", l.hash(), b);
      for (std::size_t k = 0; k < tensors.size(); ++k)
        s.add(l.tensors()[k].name, detail::role_of_weights, l.tensors()[k].shape, tensors[k]);
      return s;
    });
  }

  /// Texts of one's own, saved and loaded with the rest: an epoch, a rate. Keys do not begin with "frugal.".
  std::map<std::string, std::string, std::less<>>& notes() { return notes_; }

  /// In place of the file there, if there is one: that stays as it is until the new one is complete and on the medium,
  /// and where that fails (file_error). Waits for the backends.
  void save(std::filesystem::path const& path) const {
    detail::replacing_file f(path);
    detail::write_checkpoint(look(), notes_,
                             [&](std::uint64_t at, void const* from, std::size_t n) { f.write(at, from, n); });
    f.replace();
  }
  /// Everything on the list, as it was saved; what else is in the file is left alone. Anything that does not fit, or
  /// was altered, is refused (invalid_argument), and then nothing has changed; nor has it where the file cannot be read
  /// (file_error), unless somebody writes to it meanwhile.
  void load(std::filesystem::path const& path) {
    const detail::file f(path, O_RDONLY | O_NONBLOCK);  // or a pipe would keep us waiting
    f.check(f.is_open(), "open");
    notes_ = detail::read_checkpoint(look(), f.size(),
                                     [&](std::uint64_t at, void* to, std::size_t n) { f.read(at, to, n); });
  }
  /// The same without a file.
  std::vector<std::uint8_t> to_bytes() const {
    std::vector<std::uint8_t> all;
    detail::write_checkpoint(look(), notes_, [&](std::uint64_t at, void const* from, std::size_t n) {
      if (all.size() < at + n) all.resize(at + n);
      memcpy(all.data() + at, from, n);
    });
    return all;
  }
  void from_bytes(view<std::uint8_t const> bytes) {
    require(bytes.data() || bytes.size() == 0, "the bytes of a checkpoint", "a pointer", "null");
    notes_ =
        detail::read_checkpoint(look(), std::uint64_t(bytes.size()),
                                [&](std::uint64_t at, void* to, std::size_t n) { memcpy(to, bytes.data() + at, n); });
  }

 private:
  using look_function = std::function<detail::stored_object(std::string const& name)>;
  struct entry {
    std::string name;
    look_function look;
  };

  template <class T>
  struct element_of {
    using type = T;
  };
  template <class T>
  requires requires { typename T::element; }
  struct element_of<T> {  // a view
    using type = typename T::element;
  };
  checkpoint& add_look(std::string name, look_function look) {
    require(!name.empty() && name.find('.') == std::string::npos, "a name in a checkpoint",
            "one or more characters, no dot", name);
    for (entry const& e : entries_) require(e.name != name, "a name in a checkpoint", "one of its own", name);
    entries_.push_back({std::move(name), std::move(look)});
    return *this;
  }
  detail::stored_objects look() const {
    detail::stored_objects all;
    for (entry const& e : entries_) all.push_back(e.look(e.name));
    return all;
  }

  std::vector<entry> entries_;
  std::map<std::string, std::string, std::less<>> notes_;
};

}  // namespace v0
}  // namespace frugal
