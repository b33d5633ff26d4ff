// The lecture's update rules, one coordinate at a time, and what changes with the update's number t.
#pragma once
#include <float.h>

#include "platform.h"
#include "table.h"

namespace {

// m_k = eta m_{k-1} + g_k
SGDOPT_INLINE double velocity(double eta, double first, double gradient) { return eta * first + gradient; }

// m_k = beta_1 m_{k-1} + (1 - beta_1) g_k, and likewise for the square
SGDOPT_INLINE double moment(double beta, double before, double value) {
    return beta * before + (1.0 - beta) * value;
}

// Rules whose updates are linear in the gradients.
inline bool is_linear(const Rule &rule) {
    return rule.code == SGD || rule.code == MOMENTUM || rule.code == NESTEROV;
}

// 1 / (1 - beta^t), which is 1 to rounding once beta^t < exp(-40).
inline double bias_correction(double beta, int64_t t) {
    if ((double)t * (1.0 - beta) > 40.0) return 1.0;
    return 1.0 / (1.0 - pow(beta, (double)t));
}

// Factor of the learning rate at update t, from 1.
inline double decay(const Rule &rule, int64_t t) {
    const double pi = 3.14159265358979323846;
    if (rule.schedule == CONSTANT) return 1.0;
    if (rule.schedule == INVSCALING) return pow((double)t, -rule.power);
    const double part = ((double)t - 1.0 - rule.began) / rule.horizon, done = part < 1.0 ? part : 1.0;
    if (rule.schedule == COSINE) return 0.5 * (1.0 + cos(pi * done));
    return done < 0.5 ? 1.0 : 2.0 * (1.0 - done);  // LINEAR
}

// Weight of the newest iterate in a polynomial-decay average (Shamir and Zhang 2013), the last of `age` updates,
// itself `share` of one.
inline double newest(double forgetting, double age, double share) {
    return (forgetting + 1.0) * share / (age + forgetting * share);
}

inline double soft_threshold(double value, double width) {
    if (value > width) return value - width;
    if (value < -width) return value + width;
    return value - value;  // 0, and NaN stays NaN
}

// What is kept of a velocity or of Adam's first moment. With `settling` it grows, so that what they remember is a small
// part of the descent so far: 1 - settling / age, from 0 to eta or beta_1.
inline double inertia_at(const Rule &rule, double age) {
    const double most = rule.code == SGD ? 0.0 : rule.code == ADAM ? rule.beta_1 : rule.momentum;
    if (rule.settling == 0.0) return most;
    const double grown = 1.0 - rule.settling / age;
    return grown > most ? most : grown > 0.0 ? grown : 0.0;
}

// How far a gradient leads in the end, over its rate: a velocity is a sum of gradients, Adam's moment a mean.
inline double lead_at(const Rule &rule, double age) {
    return rule.code == MOMENTUM || rule.code == NESTEROV ? 1.0 / (1.0 - inertia_at(rule, age)) : 1.0;
}

// The inverse of the rate with which training starts.
inline double inverse_at(const Rule &rule, double age) {
    return rule.shared + lead_at(rule, age) * (rule.own + rule.slowing * age);
}

// The rate of update t. Losses with kinks have no curvature: their steps go with the spread of the residuals,
// 1.4826 root^2, where root is the running mean of sqrt|r|: finite for residuals without a mean.
inline double rate_at(const Rule &rule, int64_t t, double age, const double *root) {
    double rate = rule.rate;
    if (rule.slowing > 0.0) {
        const double early = 1.0 / inverse_at(rule, age);
        if (early > rate) rate = early;
    }
    rate *= rule.factor * decay(rule, t);
    if (rule.kink > 0.0) {
        rate *= rule.kink * (1.4826 * *root * *root);
        if (rule.kink_power > 0.0) rate *= pow(1.0 + rule.rate * age / rule.kink_updates, -rule.kink_power);
        if (rate > rule.kink_limit) rate = rule.kink_limit;
    }
    return rate;
}

// Whether all updates have the rate `rate * factor`.
inline bool has_one_rate(const Rule &rule) {
    return rule.schedule == CONSTANT && rule.slowing == 0.0 && rule.kink == 0.0;
}

// Whether a gradient may lead beyond the least loss of its own batch.
inline bool must_land(const Rule &rule, double age) {
    return rule.slowing > 0.0 && inverse_at(rule, age) < 1.0 / rule.rate;
}

// The factor of a gradient whose square is `square` and along which the batch has the curvature `curved` / square; 1
// where these are so small that an inverse would overflow.
inline double landing_factor(const Rule &rule, double rate, double age, double square, double curved) {
    const double far = rate * lead_at(rule, age) * curved;
    return far > square && far >= DBL_MIN ? square / far : 1.0;
}

// Take the residuals of a batch into the running mean of their roots.
inline void take_root(const Rule &rule, double forgetting, double age, double mean, double share, double *root) {
    if (rule.kink > 0.0) *root += newest(forgetting, age, share) * (mean - *root);
}

}  // namespace
