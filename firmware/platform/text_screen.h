// The last lines that were written, as a grid of characters, and the display that shows them. Lines
// may come before there is a display.
#pragma once
#include <cstdint>
#include <string_view>

namespace doorbell::platform {

class TextScreen {
  public:
    static constexpr unsigned most_columns = 160, most_rows = 100;

    /// Shows what was written and what will be. `Display` has columns(), rows(), both at least 1,
    /// and draw(row, column, c); it outlives the screen. A smaller display than the one of before
    /// shows the last rows.
    template <class Display>
    void show_on(const Display& display) {
        resize(display.columns(), display.rows());
        draw_ = [](const void* context, unsigned row, unsigned column, char c) {
            static_cast<const Display*>(context)->draw(row, column, c);
        };
        display_ = &display;
        draw_all();
    }
    bool is_shown() const { return draw_ != nullptr; }

    /// Writes a line below the last one; the lines above move up where the screen is full. A line
    /// that is wider than the screen goes on in the next row, from a blank on. A character that is
    /// not printable ASCII shows as '?'.
    void write_line(std::string_view line);

  private:
    void resize(unsigned columns, unsigned rows);
    void draw_all();
    void draw(unsigned row, unsigned column);
    void next_row();
    void set(unsigned row, unsigned column, char c);

    char cells_[most_rows][most_columns] = {};  ///< 0: a blank that was never written
    unsigned columns_ = 80, rows_ = 25;
    unsigned next_ = 0;  ///< the row of the next line; rows_: the screen is full
    void (*draw_)(const void* display, unsigned row, unsigned column, char c) = nullptr;
    const void* display_ = nullptr;
};

}  // namespace doorbell::platform
