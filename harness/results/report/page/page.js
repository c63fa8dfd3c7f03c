// Draws the page's charts from the specifications in #charts with Chart.js. What is drawn is decided where the
// page is written; here are only axes, colours and the keyboard.
(function () {
    "use strict";
    // Okabe and Ito's palette, without its yellow, which is too faint on white; black before grey.
    const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7a7a7a"];
    const dashes = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 5]];
    const marks = ["circle", "triangle", "rect", "rectRot", "crossRot", "star", "cross", "dash"];
    const specs = JSON.parse(document.getElementById("charts").textContent);
    const several = specs.some(spec => spec.lines.some(line => line.dash));
    const errors = [];
    window.addEventListener("error", event => { errors.push(event.message); document.documentElement.dataset.errors = errors.join("; "); });

    const colour = line => colours[(line.colour || 0) % colours.length];
    // By run where there are several; else by colour, so that lines that lie on each other still both show.
    const dash = line => dashes[(several ? line.dash || 0 : line.colour || 0) % dashes.length];
    const mark = line => marks[(line.colour || 0) % marks.length];
    function number(value) {
        if (value === null || value === undefined) return "-";
        const parts = String(+(+value).toPrecision(6)).split(".");
        if (parts[0].indexOf("e") < 0) parts[0] = parts[0].replace(/\B(?=(\d{3})+$)/g, ",");
        return parts.join(".");
    }
    function percentile(x) {
        if (x <= 1) return "0 %";
        const nines = Math.max(0, Math.ceil(Math.log10(x)) - 2);
        return +(100 * (1 - 1 / x)).toFixed(nines + (x === 2 ? 0 : 1)) + " %";
    }
    const title = text => ({ display: true, text: text });
    function range(lines) {
        let least = Infinity, most = -Infinity;
        for (const line of lines) for (const point of line.points) { const y = point[1]; if (y < least) least = y; if (y > most) most = y; }
        return { least: least, most: most };
    }
    // Logarithmic where linear would press most of it to the floor.
    function value_axis(spec) {
        const r = range(spec.lines), log = r.least > 0 && r.most > 50 * r.least;
        return { type: log ? "logarithmic" : "linear", beginAtZero: true, grace: "6%", title: title(spec.y + (log ? " (log)" : "")), ticks: { callback: (value, index, all) => log && !/^[125]/.test(String(value).replace(/^0\.0*/, "")) ? "" : number(value), maxTicksLimit: 9 } };
    }
    function line_set(line, more) {
        return Object.assign({ label: line.name, data: line.points.map(p => ({ x: p[0], y: p[1] })), borderColor: colour(line), backgroundColor: colour(line), borderDash: dash(line), borderWidth: 2, pointStyle: mark(line), pointRadius: 3, pointHoverRadius: 6, tension: 0 }, more);
    }
    const pointer = spec => ({ callbacks: { label: item => item.dataset.label + ": " + number(item.parsed.y) + " " + spec.unit } });

    const makers = {
        percentiles(spec) {
            let most = 1;
            for (const line of spec.lines) for (const point of line.points) most = Math.max(most, point[0]);
            const options = { scales: { x: { type: "logarithmic", min: 1, max: most, title: title(spec.x), afterBuildTicks(axis) {
                axis.ticks = [1, 2, 4, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8].filter(v => v <= most).map(v => ({ value: v })); }, ticks: { callback: v => percentile(v), autoSkip: false, maxRotation: 0 } }, y: value_axis(spec) },
                plugins: { tooltip: pointer(spec) } };
            options.plugins.tooltip.callbacks.title = items => percentile(items[0].parsed.x);
            return { type: "line", data: { datasets: spec.lines.map(line => line_set(line, { pointRadius: line.points.length > 40 ? 1.5 : 2.5 })) }, options: options };
        },
        curve(spec) {
            const sets = spec.lines.map(line => line_set(line));
            if (spec.crossings.length) sets.push({ label: "crossover", data: spec.crossings.map(c => ({ x: c.x, y: c.y, text: c.text })), showLine: false, borderColor: "#000", backgroundColor: "transparent", borderWidth: 2, pointStyle: "circle", pointRadius: 9, pointHoverRadius: 11 });
            const options = { scales: { x: { type: spec.log_x ? "logarithmic" : "linear", title: title(spec.x + (spec.log_x ? " (log)" : "")), ticks: { callback: (v, i, all) => spec.log_x && !/^[125]/.test(String(v).replace(/^0\.0*/, "")) ? "" : number(v) } }, y: value_axis(spec) }, plugins: { tooltip: pointer(spec) } };
            options.plugins.tooltip.callbacks.title = items => spec.x + " " + number(items[0].parsed.x);
            options.plugins.tooltip.callbacks.label = item => item.raw.text ? item.raw.text : item.dataset.label + ": " + number(item.parsed.y) + " " + spec.unit;
            return { type: "line", data: { datasets: sets }, options: options };
        },
        order(spec) {
            return { type: "line", data: { datasets: spec.lines.map(line => line_set(line, { pointRadius: 0, borderWidth: 1.5 })) },
                options: { scales: { x: { type: "linear", title: title(spec.x), ticks: { callback: number } }, y: value_axis(spec) }, plugins: { tooltip: pointer(spec) } } };
        },
        bars(spec) { return across(spec, false); },
        stages(spec) { return across(spec, true); }
    };
    function across(spec, stacked) {
        const all = [].concat(...spec.lines.map(line => line.points)), least = Math.min(...all), most = Math.max(...all);
        const log = !stacked && least > 0 && most > 100 * least;
        const sets = spec.lines.map(line => ({ label: line.name, data: line.points, backgroundColor: colour(line), borderColor: "#fff", borderWidth: stacked ? 1 : 0, maxBarThickness: 26 }));
        const tooltip = { callbacks: { label: item => item.dataset.label + ": " + number(item.raw) + " " + spec.unit } };
        if (spec.whole) tooltip.callbacks.footer = items => "whole: " + number(spec.whole[items[0].dataIndex]) + " " + spec.unit;
        return { type: "bar", data: { labels: spec.names, datasets: sets }, figures: true,
            options: { indexAxis: "y", layout: { padding: { right: 52 } }, scales: { x: { type: log ? "logarithmic" : "linear", min: log ? Math.pow(10, Math.floor(Math.log10(least)) - (least === Math.pow(10, Math.floor(Math.log10(least))) ? 1 : 0)) : undefined, stacked: stacked, beginAtZero: true, title: title(spec.x + (log ? " (log)" : "")), ticks: { callback: (v, i, ticks) => log && !/^1/.test(String(v).replace(/^0\.0*/, "")) ? "" : number(v) } }, y: { stacked: stacked, ticks: { autoSkip: false } } }, plugins: { tooltip: tooltip } } };
    }

    // The figure at the end of each bar; of stacked bars, the whole.
    const figures = { id: "figures", afterDatasetsDraw(chart) {
        const spec = chart.doorbell;
        if (!spec || (spec.kind !== "bars" && spec.kind !== "stages")) return;
        const pen = chart.ctx;
        pen.save();
        pen.fillStyle = "#1a1a1a";
        pen.font = "12px system-ui, sans-serif";
        pen.textBaseline = "middle";
        chart.data.datasets.forEach((set, index) => {
            const meta = chart.getDatasetMeta(index);
            if (meta.hidden || (spec.whole && index !== chart.data.datasets.length - 1)) return;
            meta.data.forEach((bar, at) => {
                const value = spec.whole ? spec.whole[at] : set.data[at];
                if (value === null) return;
                let end = bar.x;
                if (spec.whole) chart.data.datasets.forEach((other, i) => { const b = chart.getDatasetMeta(i).data[at]; if (chart.isDatasetVisible(i) && b && !isNaN(b.x)) end = Math.max(end, b.x); });
                pen.fillText(number(value), end + 5, bar.y);
            });
        });
        pen.restore();
    } };
    // The tests look at this: a canvas that was drawn says so.
    const drawn = { id: "drawn", afterRender(chart) { chart.canvas.dataset.drawn = chart.data.datasets.reduce((n, set) => n + set.data.length, 0); } };

    function swatch(line, kind) {
        const c = colour(line);
        if (kind === "bars" || kind === "stages") return '<svg viewBox="0 0 32 12" aria-hidden="true"><rect x="6" width="20" height="12" fill="' + c + '"/></svg>';
        return '<svg viewBox="0 0 32 12" aria-hidden="true"><line x1="0" x2="32" y1="6" y2="6" stroke="' + c + '" stroke-width="3" stroke-dasharray="' + dash(line).join(" ") + '"/></svg>';
    }
    function legend(chart, spec, place) {
        const list = document.createElement("ul");
        list.className = "legend";
        spec.lines.forEach((line, index) => {
            const item = document.createElement("li"), button = document.createElement("button");
            button.type = "button";
            button.setAttribute("aria-pressed", "true");
            button.innerHTML = swatch(line, spec.kind);
            button.appendChild(document.createTextNode(line.name));
            button.addEventListener("click", () => {
                const show = !chart.isDatasetVisible(index);
                chart.setDatasetVisibility(index, show);
                button.setAttribute("aria-pressed", String(show));
                chart.update();
            });
            item.appendChild(button);
            list.appendChild(item);
        });
        place.after(list);
    }

    Chart.register(figures, drawn);
    Chart.defaults.animation = false;
    Chart.defaults.maintainAspectRatio = false;
    Chart.defaults.color = "#333";
    Chart.defaults.font.family = 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif';
    Chart.defaults.plugins.legend.display = false;
    Chart.defaults.interaction = Object.assign(Chart.defaults.interaction, { mode: "nearest", intersect: false });
    for (const canvas of document.querySelectorAll("canvas[data-chart]")) {
        const spec = specs[+canvas.dataset.chart], box = canvas.parentElement;
        if (spec.names) box.style.height = Math.max(9, 4.5 + spec.names.length * (spec.kind === "bars" ? 0.9 + 0.8 * spec.lines.length : 1.9)) + "rem";
        const chart = new Chart(canvas, Object.assign(makers[spec.kind](spec), { plugins: [{ id: "spec", beforeInit: c => { c.doorbell = spec; } }] }));
        legend(chart, spec, box);
    }
    const each = todo => { for (const id of Object.keys(Chart.instances)) todo(Chart.instances[id]); };
    window.addEventListener("beforeprint", () => {
        for (const part of document.querySelectorAll("details")) part.open = true;
        each(chart => chart.resize());
    });
    window.addEventListener("afterprint", () => each(chart => chart.resize()));
    document.documentElement.dataset.charts = String(Object.keys(Chart.instances).length);
})();
