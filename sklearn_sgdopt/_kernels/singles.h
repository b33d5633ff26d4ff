// Batches of one dense sample, for the rules that are linear in the gradient (sgd, momentum, Nesterov's).
//
// Four updates at once: what sample r predicts after those before it is a combination of its products with the
// slopes, with the velocity and with the directions of those samples. With q_r = W W' (x_r - center) and l_r the
// derivative of the loss times its factor, slopes, velocity and average are, after each update,
//
//     b = b_0 + B_u u_0 + sum_s B_s q_s,   u = U u_0 + sum_s U_s q_s,   a = A a_0 + A_b b_0 + A_u u_0 + sum_s A_s q_s.
//
// Only the numbers are updated four times; the vectors once. This is exact to rounding.
#pragma once
#include "dense.h"
#include "update.h"

namespace {

const int AT_ONCE = 4;

struct Combination {
    double b_u, b[AT_ONCE], u_u, u[AT_ONCE], a_a, a_b, a_u, a[AT_ONCE];
};

inline void begin(Combination *c) {
    memset(c, 0, sizeof(*c));
    c->u_u = c->a_a = 1.0;
}

// Make the update of sample r with derivative l at `rate`; the average takes `weight` of the newest.
SGDOPT_INLINE void advance(const Rule &rule, Combination *c, int r, double l, double rate, double weight) {
    if (rule.code == SGD) {
        c->b[r] = -rate * l;
    } else {
        const double along = rule.code == NESTEROV ? rule.momentum : 1.0;
        c->u_u *= rule.momentum;
        for (int s = 0; s < r; ++s) c->u[s] *= rule.momentum;
        c->u[r] = l;
        c->b_u -= rate * along * c->u_u;
        for (int s = 0; s <= r; ++s) c->b[s] -= rate * along * c->u[s];
        if (rule.code == NESTEROV) c->b[r] -= rate * l;
    }
    c->a_a *= 1.0 - weight;
    c->a_b += weight * (1.0 - c->a_b);
    c->a_u += weight * (c->b_u - c->a_u);
    for (int s = 0; s <= r; ++s) c->a[s] += weight * (c->b[s] - c->a[s]);
}

// The centred samples z, and the directions q that an update along each would take, both (4, features).
template <class T>
SGDOPT_INLINE void directions(const Dense<T> &s, const Coordinates &at, const View<T> &view, const int64_t *rows,
                              int count, double *SGDOPT_RESTRICT z, double *SGDOPT_RESTRICT q,
                              double *SGDOPT_RESTRICT room) {
    const int64_t d = s.features;
    for (int r = 0; r < AT_ONCE; ++r) {
        const T *SGDOPT_RESTRICT x = s.row(rows[r < count ? r : 0]);
        double *SGDOPT_RESTRICT to = z + r * d, *SGDOPT_RESTRICT scaled = at.whitening ? room + r * d : q + r * d;
        if (at.whitening)
            for (int64_t j = 0; j < d; ++j) {
                to[j] = (double)(x[j] - view.center[j]) - (view.rest ? view.rest[j] : 0.0);
                scaled[j] = to[j] * at.scale[j];
            }
        else
            for (int64_t j = 0; j < d; ++j) {
                to[j] = (double)(x[j] - view.center[j]) - (view.rest ? view.rest[j] : 0.0);
                scaled[j] = to[j] * (at.scale[j] * at.scale[j]);
            }
    }
    if (!at.whitening) return;
    four_symmetric_products(at.inverse, room, q, d);
    for (int r = 0; r < AT_ONCE; ++r)
        for (int64_t j = 0; j < d; ++j) q[r * d + j] *= at.scale[j];
}

SGDOPT_INLINE double dot(const double *SGDOPT_RESTRICT a, const double *SGDOPT_RESTRICT b, int64_t size) {
    double sum = 0.0;
    for (int64_t j = 0; j < size; ++j) sum += a[j] * b[j];
    return sum;
}

// Products of four vectors with one.
SGDOPT_INLINE void dots(const double *SGDOPT_RESTRICT z, const double *SGDOPT_RESTRICT b, int64_t size,
                        double *out) {
    double s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0;
    for (int64_t j = 0; j < size; ++j) {
        s0 += z[j] * b[j];
        s1 += z[size + j] * b[j];
        s2 += z[2 * size + j] * b[j];
        s3 += z[3 * size + j] * b[j];
    }
    out[0] = s0, out[1] = s1, out[2] = s2, out[3] = s3;
}

// Up to four updates of one output, of samples `rows`.
template <class T>
SGDOPT_INLINE double four_updates(const Dense<T> &s, const Objective &objective, const Rule &rule,
                                  const Plan &plan, const Buffers &buffers, const int64_t *rows, int count,
                                  const double *z, const double *q, const double *gram, double factor,
                                  double share, int64_t t, double begun, int64_t o) {
    const int64_t d = s.features, width = d + 1;
    double *SGDOPT_RESTRICT slope = buffers.slope + o * width, *SGDOPT_RESTRICT first = buffers.first + o * width;
    double *SGDOPT_RESTRICT average = buffers.average + o * width;
    const bool rolls = rule.code != SGD;
    double of_slope[AT_ONCE], of_velocity[AT_ONCE] = {0.0}, loss = 0.0;
    dots(z, slope, d, of_slope);
    if (rolls) dots(z, first, d, of_velocity);
    Combination c;
    begin(&c);
    for (int r = 0; r < count; ++r) {
        double prediction = of_slope[r] + c.b_u * of_velocity[r] + slope[d], derivative;
        for (int e = 0; e < r; ++e) prediction += c.b[e] * gram[r * AT_ONCE + e];
        Sums sums = {0.0, 0.0, 0.0};
        take_losses(s.samples, objective, o, 1, rows + r, &prediction, &derivative, &sums);
        loss += sums.loss;
        const double age = begun + share * (r + 1), averaged = age - plan.averaged_since;
        take_root(rule, plan.forgetting, averaged, sums.root / s.samples.mean_weight, share, buffers.root + o);
        const double rate = rate_at(rule, t + 1 + r, age, buffers.root + o);
        const double weight = plan.averaging ? newest(plan.forgetting, averaged, share) : 0.0;
        double l = derivative * factor;
        if (must_land(rule, age)) {  // the gradient is l times the direction: its curvature is that of the sample
            const double size = gram[r * AT_ONCE + r] + (plan.fit_intercept ? 1.0 : 0.0);
            const double of_sample = s.samples.weight ? s.samples.weight[rows[r]] : 1.0;
            l *= landing_factor(rule, rate, 1.0, 2.0 * factor * of_sample * size);
        }
        advance(rule, &c, r, l, rate, weight);
        if (plan.fit_intercept) {
            if (rolls) first[d] = velocity(rule.momentum, first[d], l);
            const double along = !rolls ? l : (rule.code == NESTEROV ? l + rule.momentum * first[d] : first[d]);
            slope[d] -= rate * along;
        }
        if (plan.averaging) average[d] += weight * (slope[d] - average[d]);
    }
    const double *SGDOPT_RESTRICT q0 = q, *SGDOPT_RESTRICT q1 = q + d, *SGDOPT_RESTRICT q2 = q + 2 * d,
                 *SGDOPT_RESTRICT q3 = q + 3 * d;
    if (plan.averaging)
        for (int64_t j = 0; j < d; ++j) {
            const double u = rolls ? c.a_u * first[j] : 0.0;
            average[j] = c.a_a * average[j] + c.a_b * slope[j] + u +
                         ((c.a[0] * q0[j] + c.a[1] * q1[j]) + (c.a[2] * q2[j] + c.a[3] * q3[j]));
        }
    if (rolls)
        for (int64_t j = 0; j < d; ++j) {
            const double u = first[j];
            slope[j] += c.b_u * u + ((c.b[0] * q0[j] + c.b[1] * q1[j]) + (c.b[2] * q2[j] + c.b[3] * q3[j]));
            first[j] = c.u_u * u + ((c.u[0] * q0[j] + c.u[1] * q1[j]) + (c.u[2] * q2[j] + c.u[3] * q3[j]));
        }
    else
        for (int64_t j = 0; j < d; ++j)
            slope[j] += (c.b[0] * q0[j] + c.b[1] * q1[j]) + (c.b[2] * q2[j] + c.b[3] * q3[j]);
    return loss;
}

// Updates of single samples at the positions of `progress`.
template <class T>
SGDOPT_NOINLINE void train_singles(const Dense<T> &s, const Coordinates &at, const Buffers &buffers,
                                   const Objective &objective, const Rule &rule, const Plan &plan,
                                   const Order &order, const Work &work, Progress *progress) {
    const int64_t d = s.features;
    double *z = work.scratch, *q = z + AT_ONCE * d, *room = q + AT_ONCE * d;
    // Only the center is of use here: slopes change with each update.
    const View<T> view = make_view(s, at.center, buffers.slope, room + AT_ONCE * d);
    const double share = share_of_batch(plan, 1), factor = share / s.samples.mean_weight;
    const double mean = 1.0 / (s.samples.mean_weight * (double)s.samples.total * (double)s.samples.outputs);
    for (int64_t position = progress->start; position < progress->stop; position += AT_ONCE) {
        const int count = (int)smaller(AT_ONCE, progress->stop - position);
        int64_t rows[AT_ONCE];
        double gram[AT_ONCE * AT_ONCE];
        s.prefetch(order, position, count);
        for (int r = 0; r < count; ++r) rows[r] = row_at(order, position + r);
        directions(s, at, view, rows, count, z, q, room);
        for (int r = 0; r < count; ++r)
            for (int e = 0; e <= r; ++e) gram[r * AT_ONCE + e] = dot(z + r * d, q + e * d, d);
        for (int64_t o = 0; o < s.samples.outputs; ++o)
            progress->loss += four_updates(s, objective, rule, plan, buffers, rows, count, z, q, gram, factor,
                                           share, progress->t, progress->age, o);
        progress->t += count;
        progress->age += share * count;
        if (!(progress->loss * mean <= plan.loss_limit)) {
            progress->diverged = 1;
            return;
        }
    }
}

}  // namespace
