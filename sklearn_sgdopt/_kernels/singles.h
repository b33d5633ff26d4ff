// Batches of one dense sample, for the rules that are linear in the gradient (sgd, momentum, Nesterov's).
//
// Four updates at once: what sample r predicts after those before it is a combination of its products with the
// slopes, with the velocity and with the directions of those samples. With q_r = W W' (x_r - center) and l_r the
// derivative of the loss times its factor, slopes, velocity and average are, after each update,
//
//     b = b_0 + B_u u_0 + sum_s B_s q_s,   u = U u_0 + sum_s U_s q_s,   a = A a_0 + A_b b_0 + A_u u_0 + sum_s A_s q_s.
//
// Only the numbers are updated four times; the vectors once. This is exact to rounding. The intercept is the
// coefficient of a feature that is 1.
#pragma once
#include "dense.h"
#include "update.h"

namespace {

const int AT_ONCE = 4;

// What all updates of a call have in common: `share` is what a sample counts for, `factor` that of its derivative.
struct Descent {
    const Samples &samples;
    const Coordinates &at;
    const Buffers &buffers;
    const Objective &objective;
    const Rule &rule;
    const Plan &plan;
    double share, factor;
};

// Four samples, z centred and q the direction of an update along z: where the coordinates are the data's,
template <class T>
struct Raw {
    const T *x[AT_ONCE];
    int64_t rows[AT_ONCE];
    Raw(const Dense<T> &, const Coordinates &, double *) {}
    void gather(const Dense<T> &s) {
        for (int r = 0; r < AT_ONCE; ++r) x[r] = s.row(rows[r]);
    }
    SGDOPT_INLINE double z(int r, int64_t j) const { return (double)x[r][j]; }
    SGDOPT_INLINE double q(int r, int64_t j) const { return (double)x[r][j]; }
};

// where they only scale,
template <class T>
struct Scaled {
    const T *x[AT_ONCE];
    int64_t rows[AT_ONCE];
    const double *center, *scale;
    Scaled(const Dense<T> &, const Coordinates &at, double *) : center(at.center), scale(at.scale) {}
    void gather(const Dense<T> &s) {
        for (int r = 0; r < AT_ONCE; ++r) x[r] = s.row(rows[r]);
    }
    SGDOPT_INLINE double z(int r, int64_t j) const { return (double)x[r][j] - center[j]; }
    SGDOPT_INLINE double q(int r, int64_t j) const { return z(r, j) * (scale[j] * scale[j]); }
};

// and where they are white: both are computed before.
template <class T>
struct White {
    int64_t rows[AT_ONCE], features;
    const Coordinates &at;
    double *centred, *direction, *scaled;
    White(const Dense<T> &s, const Coordinates &at, double *room)
        : features(s.features), at(at), centred(room), direction(room + AT_ONCE * features),
          scaled(direction + AT_ONCE * features) {}
    void gather(const Dense<T> &s) {
        for (int r = 0; r < AT_ONCE; ++r) {
            const T *x = s.row(rows[r]);
            double *to = centred + r * features;
            for (int64_t j = 0; j < features; ++j) {
                to[j] = (double)x[j] - at.center[j];
                scaled[r * features + j] = to[j] * at.scale[j];
            }
        }
        four_symmetric_products(at.inverse, scaled, direction, features);
        for (int r = 0; r < AT_ONCE; ++r)
            for (int64_t j = 0; j < features; ++j) direction[r * features + j] *= at.scale[j];
    }
    SGDOPT_INLINE double z(int r, int64_t j) const { return centred[r * features + j]; }
    SGDOPT_INLINE double q(int r, int64_t j) const { return direction[r * features + j]; }
};

struct Combination {
    double b_u = 0.0, b[AT_ONCE] = {0.0}, u_u = 1.0, u[AT_ONCE] = {0.0};
    double a_a = 1.0, a_b = 0.0, a_u = 0.0, a[AT_ONCE] = {0.0};
};

// Make the update of sample r with derivative l at `rate`, with inertia eta; the average takes `weight` of the newest.
template <bool ROLLS>
SGDOPT_INLINE void advance(const Rule &rule, double eta, Combination &c, int r, double l, double rate,
                           double weight) {
    if (ROLLS) {
        const double along = rule.code == NESTEROV ? rate * eta : rate;
        c.u_u *= eta;
        for (int s = 0; s < r; ++s) c.u[s] *= eta;
        c.u[r] = l;
        c.b_u -= along * c.u_u;
        for (int s = 0; s <= r; ++s) c.b[s] -= along * c.u[s];
        if (rule.code == NESTEROV) c.b[r] -= rate * l;
        c.a_u += weight * (c.b_u - c.a_u);
    } else {
        c.b[r] = -rate * l;
    }
    c.a_a *= 1.0 - weight;
    c.a_b += weight * (1.0 - c.a_b);
    for (int s = 0; s <= r; ++s) c.a[s] += weight * (c.b[s] - c.a[s]);
}

// out[r] = z_r . v + v_intercept
template <class Group>
SGDOPT_INLINE void products_with(const Group &g, const double *v, int64_t d, double *out) {
    double z0 = 0.0, z1 = 0.0, z2 = 0.0, z3 = 0.0;
    for (int64_t j = 0; j < d; ++j) {
        z0 += g.z(0, j) * v[j];
        z1 += g.z(1, j) * v[j];
        z2 += g.z(2, j) * v[j];
        z3 += g.z(3, j) * v[j];
    }
    out[0] = z0 + v[d], out[1] = z1 + v[d], out[2] = z2 + v[d], out[3] = z3 + v[d];
}

// gram[r][s] = z_r . q_s + one, below the diagonal, and on it where asked.
template <class Group>
SGDOPT_INLINE void mutual_products(const Group &g, int64_t d, double one, bool diagonal, double (*gram)[AT_ONCE]) {
    double p10 = one, p20 = one, p21 = one, p30 = one, p31 = one, p32 = one;
    for (int64_t j = 0; j < d; ++j) {
        const double q0 = g.q(0, j), q1 = g.q(1, j), q2 = g.q(2, j);
        p10 += g.z(1, j) * q0;
        p20 += g.z(2, j) * q0;
        p21 += g.z(2, j) * q1;
        p30 += g.z(3, j) * q0;
        p31 += g.z(3, j) * q1;
        p32 += g.z(3, j) * q2;
    }
    gram[1][0] = p10, gram[2][0] = p20, gram[2][1] = p21, gram[3][0] = p30, gram[3][1] = p31, gram[3][2] = p32;
    if (!diagonal) return;
    for (int r = 0; r < AT_ONCE; ++r) {
        double square = one;
        for (int64_t j = 0; j < d; ++j) square += g.z(r, j) * g.q(r, j);
        gram[r][r] = square;
    }
}

template <class Group>
SGDOPT_INLINE double combined(const Group &g, const double *k, int64_t j) {
    return (k[0] * g.q(0, j) + k[1] * g.q(1, j)) + (k[2] * g.q(2, j) + k[3] * g.q(3, j));
}

// Up to four updates of one output, numbers first. With EASY all losses are squared errors of samples that count
// alike, at one rate: nothing then stands between a residual and the next.
template <class Group, bool ROLLS, bool EASY>
struct Updates {
    const Descent &descent;
    const Group &g;
    const double (*gram)[AT_ONCE];
    int64_t d, o, t;
    double age;
    int count;
    double of_slope[AT_ONCE], of_velocity[AT_ONCE], loss = 0.0;
    Combination c;

    template <int r>
    SGDOPT_INLINE void number() {
        if (r >= count) return;
        const Rule &rule = descent.rule;
        const Plan &plan = descent.plan;
        const Samples &samples = descent.samples;
        age += descent.share;
        const double averaged = age - plan.averaged_since;
        const double weight = plan.averaging ? newest(plan.forgetting, averaged, descent.share) : 0.0;
        double prediction = of_slope[r] - (EASY ? samples.y[g.rows[r] * samples.outputs + o] : 0.0);
        if (ROLLS) prediction += c.b_u * of_velocity[r];
        for (int s = 0; s < r; ++s) prediction += c.b[s] * gram[r][s];
        if (EASY) {
            loss += prediction * prediction;
            const double l = prediction * (2.0 * descent.factor);
            advance<ROLLS>(rule, rule.momentum, c, r, l, rule.rate * rule.factor, weight);
            return;
        }
        double derivative, *root = descent.buffers.root + o;
        Sums sums = {0.0, 0.0, 0.0};
        take_losses(samples, descent.objective, o, 1, g.rows + r, &prediction, &derivative, &sums);
        loss += sums.loss;
        take_root(rule, plan.forgetting, averaged, sums.root / samples.mean_weight, descent.share, root);
        const double rate = rate_at(rule, t + 1 + r, age, root);
        double l = derivative * descent.factor;
        if (must_land(rule, age)) {  // the gradient is l times the direction: its curvature is that of the sample
            const double of_sample = samples.weight ? samples.weight[g.rows[r]] : 1.0;
            l *= landing_factor(rule, rate, age, 1.0, 2.0 * descent.factor * of_sample * gram[r][r]);
        }
        advance<ROLLS>(rule, inertia_at(rule, age), c, r, l, rate, weight);
    }

    SGDOPT_INLINE void make() {
        double *SGDOPT_RESTRICT slope = descent.buffers.slope + o * (d + 1);
        double *SGDOPT_RESTRICT first = descent.buffers.first + o * (d + 1);
        double *SGDOPT_RESTRICT average = descent.buffers.average + o * (d + 1);
        products_with(g, slope, d, of_slope);
        if (ROLLS) products_with(g, first, d, of_velocity);
        number<0>(), number<1>(), number<2>(), number<3>();
        const Combination k = c;
        const double one = descent.plan.fit_intercept ? 1.0 : 0.0;
        if (descent.plan.averaging) {
#pragma omp simd
            for (int64_t j = 0; j < d; ++j)
                average[j] = k.a_a * average[j] + k.a_b * slope[j] + (ROLLS ? k.a_u * first[j] : 0.0) +
                             combined(g, k.a, j);
            average[d] = k.a_a * average[d] + k.a_b * slope[d] + (ROLLS ? k.a_u * first[d] : 0.0) +
                         one * (k.a[0] + k.a[1] + k.a[2] + k.a[3]);
        }
#pragma omp simd
        for (int64_t j = 0; j < d; ++j) {
            slope[j] += (ROLLS ? k.b_u * first[j] : 0.0) + combined(g, k.b, j);
            if (ROLLS) first[j] = k.u_u * first[j] + combined(g, k.u, j);
        }
        slope[d] += (ROLLS ? k.b_u * first[d] : 0.0) + one * (k.b[0] + k.b[1] + k.b[2] + k.b[3]);
        if (ROLLS) first[d] = k.u_u * first[d] + one * (k.u[0] + k.u[1] + k.u[2] + k.u[3]);
    }
};

template <template <class> class Group, bool ROLLS, bool EASY, class T>
SGDOPT_NOINLINE void train_groups(const Descent &descent, const Dense<T> &s, const Order &order, double *room,
                                  Progress *progress) {
    const double mean = 1.0 / (s.samples.mean_weight * (double)s.samples.total * (double)s.samples.outputs);
    const double one = descent.plan.fit_intercept ? 1.0 : 0.0;
    Group<T> g(s, descent.at, room);
    double gram[AT_ONCE][AT_ONCE];
    for (int64_t position = progress->start; position < progress->stop; position += AT_ONCE) {
        const int count = (int)smaller(AT_ONCE, progress->stop - position);
        s.prefetch(order, position, count);
        for (int r = 0; r < AT_ONCE; ++r) g.rows[r] = row_at(order, position + (r < count ? r : 0));
        g.gather(s);
        mutual_products(g, s.features, one, descent.rule.slowing > 0.0, gram);
        for (int64_t o = 0; o < s.samples.outputs; ++o) {
            Updates<Group<T>, ROLLS, EASY> updates = {descent,     g,             gram, s.features, o,
                                                      progress->t, progress->age, count};
            updates.make();
            progress->loss += updates.loss;
        }
        progress->t += count;
        progress->age += descent.share * count;
        if (!(progress->loss * mean <= descent.plan.loss_limit)) {
            progress->diverged = 1;
            return;
        }
    }
}

inline bool are_of_data(const Coordinates &at, int64_t features) {
    for (int64_t j = 0; j < features; ++j)
        if (at.center[j] != 0.0 || at.scale[j] != 1.0) return false;
    return !at.whitening;
}

// Updates of single samples at the positions of `progress`.
template <bool ROLLS, class T>
void train_singles_of(const Dense<T> &s, const Descent &descent, const Order &order, double *room,
                   Progress *progress) {
    const Rule &rule = descent.rule;
    const bool is_easy = descent.objective.loss == SQUARED && !s.samples.weight && has_one_rate(rule);
    if (descent.at.whitening)
        train_groups<White, ROLLS, false>(descent, s, order, room, progress);
    else if (!is_easy)
        train_groups<Scaled, ROLLS, false>(descent, s, order, room, progress);
    else if (are_of_data(descent.at, s.features))
        train_groups<Raw, ROLLS, true>(descent, s, order, room, progress);
    else
        train_groups<Scaled, ROLLS, true>(descent, s, order, room, progress);
}

template <class T>
void train_singles(const Dense<T> &s, const Descent &descent, const Order &order, double *room,
                   Progress *progress) {
    if (descent.rule.code == SGD)
        train_singles_of<false>(s, descent, order, room, progress);
    else
        train_singles_of<true>(s, descent, order, room, progress);
}

}  // namespace
